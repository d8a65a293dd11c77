"""Tracker: how a ``PromptedSegmenter`` follows its objects from frame to frame.

A tracker holds the network and knows four verbs, all of them for K objects at once:

    start(frame, objects)     -> probabilities (K, H, W), states    the objects of a prompt
    propagate(frame, states)  -> probabilities (K, H, W), states    they in the next frame
    commit(states, merged)    -> states                             what was decided about the frame
    loss(inputs, samples)     -> losses                             one training batch

States go in and come out; a tracker changes none of them and keeps nothing of a video for itself.
H x W is the padded network size of a frame; boxes and regions are in network pixels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from mmdet.structures import TrackDataSample
from mmengine.model import BaseModule
from torch import Tensor

from mmvos.structures import Frame

from .tracked_objects import PromptedObjects, PromptKind, TrackedState

__all__ = ['PromptKind', 'PromptedObjects', 'TrackedState', 'Tracker']


State = TypeVar('State', bound=TrackedState)


class Tracker(BaseModule, ABC, Generic[State]):
    """Base of the trackers."""

    @property
    def accepts_points(self) -> bool:
        """Whether objects may be given by points."""
        return False

    def correct(self, known: State, started: State) -> State:
        """Join what is known of an object with a new prompt for it.

        Args:
            known: the object's state before the frame.
            started: its state from ``start``, by the prompt in this frame.

        Returns:
            The state to be committed. Here, of a tracker without a memory, it is ``started``.
        """
        return started

    def keep_memory(self, state: State) -> State:
        """Keep of a state what ``recall`` reads, so that many of them take little memory."""
        return state

    def recall(self, state: State, prompted: Sequence[State]) -> State:
        """Replace the frames that are remembered of an object because it was given in them.

        Args:
            state: the object's, committed.
            prompted: what ``keep_memory`` kept of its states right after frames in which it was
                given, wherever in the video these are, the most important first.

        Returns:
            The state, which remembers as many of them as the tracker keeps. Here, of a tracker
            without a memory, it is as it was.
        """
        return state

    @abstractmethod
    def start(self, frame: Frame, objects: PromptedObjects) -> tuple[Tensor, tuple[State, ...]]:
        """Begin with the objects of a prompt.

        Args:
            frame: the frame they are given in.
            objects: K of them.

        Returns:
            Probabilities (K, H, W) of the objects in this frame, and K states to be committed.
        """

    @abstractmethod
    def propagate(
        self, frame: Frame, states: tuple[State, ...]
    ) -> tuple[Tensor, tuple[State, ...]]:
        """Find the known objects in the next frame.

        Args:
            frame: the next frame, of the same size as those before it.
            states: K committed states.

        Returns:
            Probabilities (K, H, W), each object's against the rest of the frame, and K states to be
            committed.
        """

    @abstractmethod
    def commit(self, states: tuple[State, ...], merged: Tensor) -> tuple[State, ...]:
        """Take over what was decided about a frame.

        Args:
            states: K states from ``start`` and ``propagate``.
            merged: (K, H, W) probabilities after the objects have been merged.
        """

    @abstractmethod
    def loss(self, inputs: Tensor, data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Return the losses of B clips or pairs.

        Args:
            inputs: (B, T, 3, H, W) normalised.
            data_samples: B samples of T frames.
        """
