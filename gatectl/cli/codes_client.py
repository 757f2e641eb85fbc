"""Ask Wellhub to change custom codes. Not time-critical as at a door, so it uses a complete HTTP library."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

import httpx

from gatectl import __version__
from gatectl.config.secrets import PartnerSecrets
from gatectl.daemon.partner_service import Diallers, proxy_of
from gatectl.partners.exchange import Endpoint, PartnerResponse
from gatectl.partners.http.answer import too_large, undone
from gatectl.partners.http.failure import ExchangeFailed
from gatectl.partners.http.proxy import Proxy
from gatectl.partners.wellhub.check_in import WellhubSettings
from gatectl.partners.wellhub.codes import Change, ChangeKind, ChangeOutcome, unknown

PATIENCE_S = 10.0
"""For the whole of one request, connection and answer: no member waits at a gate."""

BODY_MAX = 65536
"""The documented answers have some hundred bytes."""


class CodesClient:
    """A context manager; `change` asks once, and never raises for a failure of the partner or the network."""

    def __init__(self, settings: WellhubSettings, secrets: PartnerSecrets) -> None:
        self._endpoint = Endpoint.of(settings.url)
        self._gym_id, self._key = settings.gym_id, secrets.key.value
        scheme = "https" if self._endpoint.tls else "http"
        self._origin = f"{scheme}://{self._endpoint.authority}"
        context = Diallers().context(settings, secrets.client_key)
        self._proxy = proxy_of(settings, secrets)
        self._runner = asyncio.Runner()
        # Ignore proxies and .netrc of the environment, as the daemon's requests do.
        self._http = httpx.AsyncClient(
            verify=True if context is None else context,
            trust_env=False,
            proxy=_proxy(self._proxy),
            timeout=None,  # noqa: S113 - one deadline over all of it is in `_ask`
            headers={"User-Agent": f"gatectl/{__version__}"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._http.aclose())
        self._runner.close()

    def change(self, change: Change) -> ChangeOutcome:
        """The result at Wellhub."""
        return self._runner.run(self._change(change))

    async def _change(self, change: Change) -> ChangeOutcome:
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await self._ask(change)
        except TimeoutError:
            return unknown(change, f"Wellhub gave no whole answer within {PATIENCE_S:g} s")
        except httpx.ProxyError as error:
            return ChangeOutcome(
                ChangeKind.REFUSED, f"{self._refusal(error)}, so nothing was asked", "gatectl check --connect"
            )
        except (httpx.ConnectError, httpx.UnsupportedProtocol) as error:
            return ChangeOutcome(
                ChangeKind.REFUSED,
                f"no connection to Wellhub, so nothing was asked: {error}",
                "gatectl check --connect",
            )
        except httpx.HTTPError as error:
            return unknown(change, f"the connection to Wellhub broke: {str(error) or type(error).__name__}")
        except ExchangeFailed as lost:
            return unknown(change, f"Wellhub gave no answer that can be read: {lost.detail}")
        return change.interpret(answer)

    def _refusal(self, error: httpx.ProxyError) -> str:
        """Say that the proxy opened no tunnel; of its answer only the status, which httpx puts first."""
        status = str(error)[:3]
        if self._proxy is None or not status.isdecimal():
            return "the proxy opened no tunnel"
        return self._proxy.refusal(int(status), self._endpoint.host, self._endpoint.port).detail

    async def _ask(self, change: Change) -> PartnerResponse:
        wanted = change.request(self._endpoint.base, self._gym_id, self._key)
        request = self._http.build_request(
            wanted.method,
            self._origin + wanted.target,
            headers=list(wanted.headers),
            content=wanted.body or None,
        )
        response = await self._http.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > BODY_MAX:
                    raise too_large(BODY_MAX)
        finally:
            await response.aclose()
        unpacked = undone(response.headers.get("content-encoding", ""), bytes(body), BODY_MAX)
        return PartnerResponse(
            response.status_code,
            dict(response.headers),
            bytes(body) if unpacked is None else unpacked,
            time.time_ns() // 1000,
            is_packed=unpacked is None,
        )


def _proxy(proxy: Proxy | None) -> httpx.Proxy | None:
    if proxy is None:
        return None
    name, colon, password = (proxy.credentials or "").partition(":")
    return httpx.Proxy(f"http://{proxy}", auth=(name, password) if colon else None)
