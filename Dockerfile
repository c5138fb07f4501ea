# The pipeline with its locked packages. To run it on the image's own copy and see the scores:
#
#   docker build --tag dvc-image-pipeline .
#   docker run --rm --init dvc-image-pipeline
#
# To run it in your clone, with your edits and images, and keep the results there:
#
#   docker run --rm --init --user "$(id -u):$(id -g)" --volume "$PWD:$PWD" --workdir "$PWD" \
#     dvc-image-pipeline
#
# Add a command to run that instead, such as `dvc repro train`.

ARG PYTHON=3.12
FROM python:${PYTHON}-slim-bookworm

# DVC and the tools ask Git for other revisions.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git \
 && rm --recursive /var/lib/apt/lists/*

# The packages come before the code: an edit of the code rebuilds only the last, small layers.
COPY requirements/pipeline.txt /tmp/
RUN python -m pip install --no-cache-dir --root-user-action ignore \
      --require-hashes --requirement /tmp/pipeline.txt

# A user without rights. `--user` makes it another one, who has no entry in /etc/passwd: DVC then
# takes the name from USER, and libraries keep their settings in HOME, which all may write to.
ENV USER=pipeline HOME=/home/pipeline
RUN useradd --uid 1000 --create-home pipeline \
 && chmod 1777 /home/pipeline \
 && install --directory --owner=1000 --group=1000 /home/pipeline/project
USER 1000:1000
WORKDIR /home/pipeline/project

# .dockerignore says what this copies of the clone. It has no .git, which DVC has to be told.
COPY --chown=1000:1000 . .
RUN dvc config --local core.no_scm true

CMD ["sh", "-c", "python -m tools.check && dvc repro && dvc metrics show"]
