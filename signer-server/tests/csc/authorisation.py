"""The one class pyHanko leaves to its users."""

import json

from pyhanko.sign.general import SigningError
from pyhanko.sign.signers.csc_signer import CSCAuthorizationManager


class Authorisation(CSCAuthorizationManager):
    """Posts what pyHanko formats, and has pyHanko read the answer."""

    def __init__(self, session, info, credential, description: str):
        super().__init__(info, credential)
        self.session, self.description = session, description

    async def authorize_signature(self, hash_b64s):
        url = self.csc_session_info.endpoint_url("credentials/authorize")
        body = self.format_csc_auth_request(hash_b64s=hash_b64s, description=self.description)
        async with self.session.post(url, headers=self.auth_headers, json=body) as response:
            answer = await response.json()
            if response.status != 200:
                raise SigningError(json.dumps(answer))
            return self.parse_csc_auth_response(answer)
