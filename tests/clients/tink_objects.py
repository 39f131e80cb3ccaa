"""Has Tink's own code seal and open objects, to show that their format is Tink's.

    python tink_objects.py seal KEY_HEX AAD_HEX PLAIN_FILE SEALED_FILE
    python tink_objects.py open KEY_HEX AAD_HEX SEALED_FILE PLAIN_FILE
    python tink_objects.py vectors

`vectors` prints what `crates/vault/src/objects/segments.rs` keeps. Needs `pip install tink`.
Exits with 1 where Tink refuses.
"""

import io
import pathlib
import sys

import tink
from tink import secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

SEGMENT_BYTES = 64 * 1024


def primitive(key: bytes) -> streaming_aead.StreamingAead:
    proto = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(
        version=0,
        key_value=key,
        params=aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
            ciphertext_segment_size=SEGMENT_BYTES, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256
        ),
    )
    keyset = tink_pb2.Keyset(primary_key_id=1)
    entry = keyset.key.add()
    entry.key_data.type_url = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"
    entry.key_data.value = proto.SerializeToString()
    entry.key_data.key_material_type = tink_pb2.KeyData.SYMMETRIC
    entry.status = tink_pb2.ENABLED
    entry.key_id = 1
    entry.output_prefix_type = tink_pb2.RAW
    handle = tink.proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
    return handle.primitive(streaming_aead.StreamingAead)


class KeptOpen(io.BytesIO):
    """Tink closes what it wrote to; the bytes are needed after that."""

    def close(self) -> None:
        pass


def seal(key: bytes, aad: bytes, plain: bytes) -> bytes:
    sink = KeptOpen()
    with primitive(key).new_encrypting_stream(sink, aad) as stream:
        stream.write(plain)
    return sink.getvalue()


def open_sealed(key: bytes, aad: bytes, sealed: bytes) -> bytes:
    with primitive(key).new_decrypting_stream(io.BytesIO(sealed), aad) as stream:
        return stream.read()


def main() -> int:
    streaming_aead.register()
    mode, *rest = sys.argv[1:]
    if mode == "vectors":
        for plain in (b"", b"a metric is a number with a name"):
            print(f'("{plain.decode()}", "{seal(bytes(range(32)), b"strongroom", plain).hex()}"),')
        return 0
    key, aad, source, target = bytes.fromhex(rest[0]), bytes.fromhex(rest[1]), pathlib.Path(rest[2]), rest[3]
    work = {"seal": seal, "open": open_sealed}[mode]
    try:
        pathlib.Path(target).write_bytes(work(key, aad, source.read_bytes()))
    except tink.TinkError as refused:
        print(f"refused: {refused}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
