"""The web server, and what it shows first: Home."""

from importlib import import_module
from threading import Thread

import streamlit as st
from starlette.middleware import Middleware
from streamlit import runtime

from tlcore.ui.server import Guard

if runtime.exists():  # a visitor is here
    import_module("tlcore.ui.home.view").draw_home()
else:  # `streamlit run app.py` looks for the server that it is to start
    app = st.App(__file__, middleware=[Middleware(Guard)])
    # Behind the server's start, and while a browser loads Streamlit's own script
    Thread(target=import_module, args=("tlcore.ui.home.view",), daemon=True).start()
