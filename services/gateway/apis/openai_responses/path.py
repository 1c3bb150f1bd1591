"""The id of a response in a path. What does not begin like one is no response but a path that nobody knows."""

from starlette.convertors import Convertor, register_url_convertor


class ResponseIdConvertor(Convertor[str]):
    regex = "resp_[^/]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("response_id", ResponseIdConvertor())

RESPONSE_PATH = "/v1/responses/{response_id:response_id}"
