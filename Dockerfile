# The hub with its own Mosquitto. Data lives in /data, the configuration in /config.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY hub hub
COPY integrations integrations
COPY web web
RUN python -m venv /opt/wattline && /opt/wattline/bin/pip install --no-cache-dir -c constraints.txt .

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends mosquitto tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home /data --shell /usr/sbin/nologin wattline \
    && install -d -o wattline -g wattline /data /config
COPY --from=build /opt/wattline /opt/wattline
COPY config/docker/hub.yaml /config/hub.yaml
ENV PATH=/opt/wattline/bin:$PATH WATTLINE_CONFIG=/config WATTLINE_DATA=/data PYTHONUNBUFFERED=1
USER wattline
VOLUME ["/data", "/config"]
EXPOSE 8321
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8321/healthz', timeout=4)"]
ENTRYPOINT ["tini", "--", "wattline"]
CMD ["run"]
