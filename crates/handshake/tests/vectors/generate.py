#!/usr/bin/env python3
"""Writes handshake.json: what an independent implementation of the handshake sends and expects.

Needs the package `cryptography`. Keys and padding are random, so each run writes other bytes:

    python3 generate.py > handshake.json
"""

import base64
import json
import os

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7


def text(raw):
    return base64.b64encode(raw).decode()


def spki(private):
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(serialization.Encoding.DER, form)


def private_pem(private, form=serialization.PrivateFormat.PKCS8):
    return private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def private_der(private, form):
    return text(private.private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption()))


def in_blocks(public, plain):
    size = public.key_size // 8 - 11
    parts = [plain[at : at + size] for at in range(0, len(plain), size)]
    return b"".join(public.encrypt(part, padding.PKCS1v15()) for part in parts)


def sealed(key, plain):
    padder = PKCS7(128).padder()
    padded = padder.update(plain) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return text(encryptor.update(padded) + encryptor.finalize())


def server(bits):
    key = rsa.generate_private_key(65537, bits)
    pkcs8, pkcs1 = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
    return key, {
        "bits": bits,
        "pkcs8_pem": private_pem(key, pkcs8),
        "pkcs1_pem": private_pem(key, pkcs1),
        "pkcs8_der": private_der(key, pkcs8),
        "pkcs1_der": private_der(key, pkcs1),
        "step1": text(spki(key)),
    }


def handshake(number, server_key, bits, exponent=65537, break_lines=False):
    client = rsa.generate_private_key(exponent, bits)
    write = base64.encodebytes if break_lines else base64.b64encode
    step2 = write(in_blocks(server_key.public_key(), write(spki(client)))).decode()
    aes = os.urandom(16)
    return {
        "server": number,
        "client_bits": bits,
        "client_pkcs8_pem": private_pem(client),
        "step2": step2,
        "aes_key": aes.hex(),
        "step3": text(client.public_key().encrypt(aes, padding.PKCS1v15())),
        "text": "ada;123456",
        "sealed": sealed(aes, b"ada;123456"),
    }


def unusable(server_key, bits, change):
    """A step 2 whose key is whole and wrong."""
    numbers = rsa.generate_private_key(65537, max(bits, 1024)).public_key().public_numbers()
    n, e = change(numbers.n, numbers.e)
    plain = base64.b64encode(spki_of(n, e))
    return text(in_blocks(server_key.public_key(), plain))


def der(tag, value):
    length = len(value)
    if length < 128:
        head = bytes([length])
    else:
        raw = length.to_bytes((length.bit_length() + 7) // 8, "big")
        head = bytes([0x80 | len(raw)]) + raw
    return bytes([tag]) + head + value


def spki_of(n, e):
    def integer(number):
        return der(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))

    algorithm = der(0x30, bytes.fromhex("06092a864886f70d0101010500"))
    return der(0x30, algorithm + der(3, b"\0" + der(0x30, integer(n) + integer(e))))


def main():
    servers = [server(bits) for bits in (1024, 2048)]
    small, large = servers[0][0], servers[1][0]
    handshakes = [handshake(0, small, bits) for bits in (1024, 1536, 2048, 3072, 4096)]
    handshakes += [handshake(1, large, bits) for bits in (1024, 2048)]
    handshakes += [handshake(0, small, 1024, exponent=3), handshake(0, small, 2048, break_lines=True)]
    refused = {
        "an even exponent": unusable(small, 1024, lambda n, e: (n, 65536)),
        "exponent 1": unusable(small, 1024, lambda n, e: (n, 1)),
        "exponent 0": unusable(small, 1024, lambda n, e: (n, 0)),
        "a huge exponent": unusable(small, 1024, lambda n, e: (n, n - 2)),
        "an even modulus": unusable(small, 1024, lambda n, e: (n - 1, e)),
        "modulus 0": unusable(small, 1024, lambda n, e: (0, e)),
        "512 bits": unusable(small, 512, lambda n, e: (n >> 512 | 1, e)),
        "1023 bits": unusable(small, 1023, lambda n, e: (n >> 1 | 1, e)),
        "4097 bits": unusable(small, 4096, lambda n, e: (n << 1 | 1, e)),
        "8192 bits": unusable(small, 4096, lambda n, e: (n << 4096 | 1, e)),
        "no key": text(in_blocks(small.public_key(), base64.b64encode(b"this is no key, it is a text"))),
        "no base64 inside": text(in_blocks(small.public_key(), b"{}" * 100)),
        "another server's key": text(in_blocks(large.public_key(), base64.b64encode(spki(small)))),
    }
    key = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
    texts = ["x" * length for length in (0, 1, 15, 16, 17, 31, 32, 1000)]
    texts += ["schöne Grüße", "你好，世界", "a|b\0c\r\n", '"hello"']
    document = {
        "servers": [data for _, data in servers],
        "handshakes": handshakes,
        "refused": refused,
        "aes_key": key.hex(),
        "sealed": [{"text": plain, "sealed": sealed(key, plain.encode())} for plain in texts],
    }
    print(json.dumps(document, indent=1, ensure_ascii=False))


main()
