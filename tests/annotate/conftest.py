from .color_follower import model

__all__ = ['model']
