# The same server as `make run`: demo data unless told otherwise.
#
#   docker build -t sessions-api .
#   docker run --rm -p 127.0.0.1:8080:8080 sessions-api
#   docker run --rm -p 8080:8080 -v sessions:/data -e SESSIONS_JWT_SECRET=... sessions-api serve --host 0.0.0.0
FROM python:3.13-slim-bookworm

WORKDIR /app
COPY requirements/run.txt requirements/
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md ./
COPY openapi openapi
COPY handlers handlers
COPY db db
COPY server server
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

# Everything that the server writes, the SQLite file, is in /data, where it starts.
RUN useradd --uid 10001 --home-dir /data --create-home sessions
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]

ENTRYPOINT ["sessions-api"]
CMD ["demo", "--host", "0.0.0.0"]
