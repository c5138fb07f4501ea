// The network: model.onnx, run by onnxruntime-web in this browser.

import * as ort from "./ort.wasm.bundle.min.mjs";

/** model.json, and a function that gives the probabilities of an image of its form. */
export async function openModel() {
  ort.env.wasm.numThreads = 1; // more of them need headers that a plain file server does not send
  ort.env.wasm.wasmPaths = { wasm: new URL("ort-wasm-simd-threaded.wasm", import.meta.url).href };
  const [description, network] = await Promise.all([fetchFile("model.json"), fetchFile("model.onnx")]);
  const model = await description.json();
  const session = await ort.InferenceSession.create(new Uint8Array(await network.arrayBuffer()));
  const { height, width, colour } = model.images;
  const shape = [1, height, width, ...(colour === "rgb" ? [3] : [])];
  const predict = async (pixels) => {
    const answer = await session.run({ images: new ort.Tensor("uint8", pixels, shape) });
    return Array.from(answer.probabilities.data);
  };
  return { model, predict };
}

async function fetchFile(name) {
  const reply = await fetch(new URL(name, import.meta.url));
  if (!reply.ok) throw new Error(`${name}: the server answered ${reply.status}`);
  return reply;
}
