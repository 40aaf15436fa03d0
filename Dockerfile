# One image for exporter, receiver, simulated world and drill. Any builder will do: nothing here needs BuildKit.
FROM python:3.14-slim-trixie AS libraries
COPY requirements-image.lock /build/
# Only wheels, so that nothing is compiled or run here; the environment has no pip of its own.
RUN python -m venv --without-pip /opt/handrail \
    && python -m pip --python /opt/handrail/bin/python install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary=:all: -r /build/requirements-image.lock
COPY handrail /app/handrail
COPY exporter /app/exporter
COPY alerting /app/alerting
COPY dashboards /app/dashboards
COPY drill /app/drill
COPY stack /app/stack
COPY cli /app/cli
COPY docs/alerts.md /app/docs/alerts.md
# The file system is read-only later, so that Python could keep no compiled files.
RUN python -m compileall -q /app

FROM python:3.14-slim-trixie
LABEL org.opencontainers.image.title="Handrail" \
    org.opencontainers.image.description="Production support for AI automations: exporter, receiver and drill" \
    org.opencontainers.image.licenses="Apache-2.0"
# Whom a named volume belongs to is taken over from the folder it is mounted on.
RUN groupadd --gid 10001 handrail \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin handrail \
    && install -d -m 0700 -o handrail -g handrail /data /switches
COPY --from=libraries /opt/handrail /opt/handrail
COPY --from=libraries /app /app
ENV PATH=/opt/handrail/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app
USER 10001:10001
ENTRYPOINT ["python", "-m", "cli"]
CMD ["--help"]
