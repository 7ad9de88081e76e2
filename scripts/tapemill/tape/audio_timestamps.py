"""Audio time stamps in samples again, for containers that can store them.

Matroska stores whole milliseconds. The audio of a tape begins with its sample 0 at time zero and has no gaps, so the
duration of every packet gives the start of the next, exact to the sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from av import AudioStream, Packet
from av.container import InputContainer

from tapemill.core.errors import GateError
from tapemill.core.timing import round_half_up

AAC_PACKET_SAMPLES = 1024
AAC_PRIMING_SAMPLES = 1024  # what ffmpeg's encoder puts before the first sample
OPUS_PACKET_SAMPLES = 960  # 20 ms, the default of libopus


def retime_packets(container: InputContainer, stream: AudioStream) -> Iterator[Packet[Any]]:
    """Yield the packets of an audio track that `clean_sound` wrote, with time stamps in samples.

    Raises GateError for any other codec.
    """
    rate = stream.codec_context.sample_rate
    position = -_priming(stream)
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        full = _packet_samples(stream, packet)
        # Only the last packet can be shorter; its own duration is right to a millisecond.
        stated = round_half_up((packet.duration or 0) * Fraction(packet.time_base) * rate)
        packet.time_base = Fraction(1, rate)
        packet.pts = packet.dts = position
        packet.duration = stated if stated < full - rate // 1000 else full
        position += packet.duration
        yield packet


def _priming(stream: AudioStream) -> int:
    """Samples of the encoder before the first sample of the audio."""
    if stream.codec_context.name == "aac":
        return AAC_PRIMING_SAMPLES
    if stream.codec_context.name == "opus":
        # Pre-skip of the identification header (RFC 7845, 5.1).
        return int.from_bytes(bytes(stream.codec_context.extradata or b"")[10:12], "little")
    return 0


def _packet_samples(stream: AudioStream, packet: Packet[Any]) -> int:
    """Samples in a full packet."""
    context = stream.codec_context
    if context.name == "aac":
        return AAC_PACKET_SAMPLES
    if context.name == "opus":
        return OPUS_PACKET_SAMPLES
    if context.name == "flac":
        # Largest block of STREAMINFO (RFC 9639, 8.2); all but the last have this length.
        return int.from_bytes(bytes(context.extradata or b"")[2:4], "big")
    if context.name.startswith("pcm_s"):
        return packet.size // (context.channels * int(context.name[5:7]) // 8)
    raise GateError(
        f"audio in {context.name} was not written by clean_sound", remedy="delete the audio file and run again"
    )
