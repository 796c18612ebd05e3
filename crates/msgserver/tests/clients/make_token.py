"""Makes tokens and JWKS with PyJWT: what an application would do.

make_token.py sign ALG KEYFILE CLAIMS [KID]   prints a token
make_token.py confuse KEYFILE CLAIMS            prints a token of HS256 with a public key as the secret, which PyJWT refuses
make_token.py jwk KEYFILE KID                 prints the public JWK of an RSA key in PEM
"""

import base64
import hmac
import json
import sys

import jwt
from jwt.algorithms import RSAAlgorithm

command, *arguments = sys.argv[1:]
if command == "sign":
    algorithm, path, claims, *kid = arguments
    key = open(path, "rb").read().strip() if path else None
    headers = {"kid": kid[0]} if kid else None
    print(jwt.encode(json.loads(claims), key, algorithm=algorithm, headers=headers))
elif command == "confuse":
    path, claims = arguments
    part = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")
    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(claims.encode())
    signature = hmac.new(open(path, "rb").read(), signed, "sha256").digest()
    print((signed + b"." + part(signature)).decode())
else:
    path, kid = arguments
    private = RSAAlgorithm(RSAAlgorithm.SHA256).prepare_key(open(path, "rb").read())
    print(json.dumps({**json.loads(RSAAlgorithm.to_jwk(private.public_key())), "kid": kid, "use": "sig"}))
