"""python -m tools.compare: is one model, or one recipe, better than another?"""
