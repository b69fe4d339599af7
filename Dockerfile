# The same server as `make run`: demo data unless told otherwise. compose.yaml runs it with PostgreSQL behind nginx.
#
#   docker build -t sessions-api .
#   docker run --rm --read-only -p 127.0.0.1:8080:8080 sessions-api
#
# The base image is pinned. To renew the pin, put what this prints behind the tag of the newest 3.13 image:
#
#   docker buildx imagetools inspect python:3.13.14-slim-bookworm --format '{{.Manifest.Digest}}'
ARG PYTHON=docker.io/library/python:3.13.14-slim-bookworm@sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8

FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv --without-pip /opt/dependencies
COPY requirements/run.txt /src/requirements/
RUN pip --python /opt/dependencies/bin/python install --require-hashes -r /src/requirements/run.txt

# The code goes into a folder of its own, so that a change of it leaves the layer of the dependencies as it is.
COPY pyproject.toml README.md LICENSE /src/
COPY openapi /src/openapi
COPY handlers /src/handlers
COPY db /src/db
COPY server /src/server
RUN pip --python /opt/dependencies/bin/python install --no-deps --no-build-isolation --target /opt/sessions-api /src \
    # What only the build needs, with what nothing else depends on.
    && pip --python /opt/dependencies/bin/python uninstall --yes hatchling pathspec pluggy trove-classifiers

FROM ${PYTHON}
# The base image brings pip. Nothing is installed any more.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip* /usr/local/lib/python3*/ensurepip \
    # Everything that the server writes, the SQLite file, is in /data, where it starts.
    && useradd --uid 10001 --home-dir /data --create-home --shell /usr/sbin/nologin sessions
COPY --from=build /opt/dependencies /opt/dependencies
COPY --from=build /opt/sessions-api /opt/sessions-api
ENV PATH=/opt/sessions-api/bin:/opt/dependencies/bin:$PATH PYTHONPATH=/opt/sessions-api PYTHONDONTWRITEBYTECODE=1

ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Workspace Sessions API" \
      org.opencontainers.image.description="Contract-first HTTP API that lists the sessions of a workspace" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8080, timeout=2); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]

ENTRYPOINT ["sessions-api"]
CMD ["demo", "--host", "0.0.0.0"]
