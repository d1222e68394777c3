"""The device key of an emulated PLC that signs its scans: made once by `testbed init`, held by the role plc alone."""

from testbed.core.entropy import Entropy
from testbed.fieldbus.packed import image_size
from testbed.fieldbus.signed_frames import FRAME_NAME, SIGNATURE_SIZE, SignedFrames
from testbed.keys.ed25519 import SigningKey
from testbed.keys.files import read_secret, write_secret
from testbed.plc.signing import FrameSigner
from testbed.record.device_frame import counters_of, frame_size
from testbed.rig.bench import Bench
from testbed.rig.paths import Paths
from testbed.rig.trust_file import TrustedDevice


def device_name(bench: Bench) -> str:
    """What the key is called: "<bench>/<plc>"."""
    return bench.origin(bench.plc.name)


def make_device(bench: Bench, entropy: Entropy) -> tuple[TrustedDevice, ...]:
    """Make the key of a PLC that signs; what a trust file says of it. Raises UsageError where one stands."""
    if not bench.plc.signs:
        return ()
    key = SigningKey.from_seed(device_name(bench), entropy.take(32))
    write_secret(Paths(bench.data).plc_device_key, key.seed)
    return (TrustedDevice(plc=bench.plc.name, key=key.verifier().encode()),)


def signer_of(bench: Bench) -> FrameSigner | None:
    """The device's key at work. None for a PLC that does not sign, and on a bench that was not made ready yet.

    Raises UsageError where the key file is open to others or of another length.
    """
    path = Paths(bench.data).plc_device_key
    if not bench.plc.signs or not path.exists():
        return None
    return FrameSigner(bench.shown, SigningKey.from_seed(device_name(bench), read_secret(path)))


def frames_of(bench: Bench) -> SignedFrames | None:
    """What a reader has to know of the signed frames; None for a PLC that does not sign."""
    if not bench.plc.signs:
        return None
    size = SIGNATURE_SIZE + frame_size(image_size(bench.shown))
    return SignedFrames(size, f"{bench.plc.name}.{FRAME_NAME}", counters_of)
