"""Makes tokens and JWKS with PyJWT: what an application would do.

make_token.py sign ALG KEYFILE CLAIMS [KID]   prints a token
make_token.py confuse KEYFILE CLAIMS            prints a token of HS256 with a public key as the secret, which PyJWT refuses
make_token.py jwk KEYFILE KID                 prints the public JWK of an RSA key in PEM
make_token.py private-jwk ALG KEYFILE KID     prints the private JWK of a key in PEM
make_token.py open ALG JWKFILE TOKEN          prints header and claims of a token that the key of a JWK has signed
"""

import base64
import hmac
import json
import sys

import jwt
from jwt.algorithms import RSAAlgorithm, get_default_algorithms

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
elif command == "private-jwk":
    algorithm, path, kid = arguments
    algorithm = get_default_algorithms()[algorithm]
    jwk = algorithm.to_jwk(algorithm.prepare_key(open(path, "rb").read()))
    print(json.dumps({**json.loads(jwk), "kid": kid}))
elif command == "open":
    algorithm, path, token = arguments
    jwk = json.load(open(path))
    public = {name: value for name, value in jwk.items() if name in ("kty", "crv", "n", "e", "x", "y")}
    key = get_default_algorithms()[algorithm].from_jwk(json.dumps(public))
    print(json.dumps([jwt.get_unverified_header(token), jwt.decode(token, key, algorithms=[algorithm])]))
else:
    path, kid = arguments
    private = RSAAlgorithm(RSAAlgorithm.SHA256).prepare_key(open(path, "rb").read())
    print(json.dumps({**json.loads(RSAAlgorithm.to_jwk(private.public_key())), "kid": kid, "use": "sig"}))
