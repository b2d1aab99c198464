"""The pages: the only package that imports Streamlit and Plotly.

Nothing here may import TensorFlow or Keras: Streamlit clears Keras' session after every script
run. Models run in the worker of ``tlcore.inference.client``.
"""
