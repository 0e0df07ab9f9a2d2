# Edgebed in a container: one stage builds the wheels, the other has nothing but them. Docs: docs/how-to/install.md.
#
#   docker build -t edgebed .
#   docker run --rm -v "$PWD/runs:/data/runs" edgebed compare demo
#
# Inside, as everywhere, a gateway listens on loopback unless it is told otherwise; then give it a token and a key:
#
#   docker run --rm --init --shm-size=1g -p 127.0.0.1:8000:8000 -e EDGEBED_TOKEN -e EDGEBED_API_KEY \
#     edgebed up demo --foreground --host 0.0.0.0
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# A C compiler makes the hot modules (setup.py); it stays in this stage.
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
# What is installed beside edgebed changes seldom: a layer of its own.
COPY constraints.txt pyproject.toml ./
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        print('\n'.join(p['dependencies'] + p['optional-dependencies']['frames']))" > requirements.txt \
    && pip wheel --wheel-dir /wheels --constraint constraints.txt --requirement requirements.txt
COPY . .
RUN pip wheel --no-deps --wheel-dir /wheels .

FROM python:${PYTHON} AS run
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 RAY_USAGE_STATS_ENABLED=0
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-index --find-links /wheels "edgebed[frames]"
# Nobody's rights are needed. A folder that is mounted must be writable for this user, or `--user` names its owner.
RUN useradd --create-home --uid 1000 edgebed \
    && install --directory --owner edgebed --group edgebed /data /data/runs
USER edgebed
ENV EDGEBED_HOME=/home/edgebed/.edgebed
WORKDIR /data
EXPOSE 8000
ENTRYPOINT ["edgebed"]
CMD ["--help"]
