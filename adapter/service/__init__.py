"""The HTTP endpoint: ``create_app()`` gives the Flask application."""

from adapter.service.app import create_app

__all__ = ["create_app"]
