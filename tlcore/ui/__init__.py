"""The only room that knows Streamlit: the page shell, selections, components and plots.

Nothing here may import TensorFlow or Keras: Streamlit clears Keras' session after every script
run. Networks are asked through ``tlcore.inference.client``.
"""
