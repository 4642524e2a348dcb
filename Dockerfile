# The images of Blueprint. Targets: job (what pods run), certify (job and the environment that loads datasets with lerobot),
# airflow (what Airflow runs), isaac (the simulator service inside NVIDIA's Isaac Sim). docs/deploy.md says how to build each.
#
# Releases pin the base by digest: --build-arg BASE_IMAGE=debian:bookworm-slim@sha256:…
# A package index, a mirror or an authority of your own comes in as secrets (id=pip: a pip.conf, id=ca: a PEM bundle); neither stays in a layer.
ARG BASE_IMAGE=debian:bookworm-slim
# Behind NVIDIA's licence and login, so there is no default that could be pulled.
ARG ISAAC_IMAGE=isaac-sim-image-is-not-set

# ---------------------------------------------------------------- python: the interpreter, and OpenGL that draws without a screen
FROM ${BASE_IMAGE} AS python
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# The base fixes Debian's release; its security updates are wanted, so packages have no versions here.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libegl1 libgl1 libgl1-mesa-dri libosmesa6 python3 tini \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old
ENV PATH=/opt/blueprint/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1

# ---------------------------------------------------------------- builder: the same, and what installs
FROM python AS builder
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv --without-pip /opt/blueprint && python3 -m venv /opt/pip
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source

# ---------------------------------------------------------------- wheel: the package; its gRPC messages are generated here
FROM builder AS wheel
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY include include
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    /opt/pip/bin/python -m pip wheel --no-deps --wheel-dir /wheel .

# ---------------------------------------------------------------- job-environment: the locked dependencies, then the package
FROM builder AS job-environment
COPY requirements-job.txt ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    /opt/pip/bin/python -m pip --python /opt/blueprint/bin/python install --no-deps --require-hashes -r requirements-job.txt
COPY --from=wheel /wheel /wheel
RUN /opt/pip/bin/python -m pip --python /opt/blueprint/bin/python install --no-deps --no-index /wheel/*.whl

# ---------------------------------------------------------------- job: what pods run; no Airflow, no pip, no compiler
FROM python AS job
COPY --from=job-environment /opt/blueprint /opt/blueprint
RUN groupadd --gid 10001 blueprint \
    && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /var/lib/blueprint --shell /usr/sbin/nologin blueprint \
    && install -d -o 10001 -g 10001 -m 0770 /var/lib/blueprint
# Everything that is written goes here or to /tmp: mount both, and the root file system may be read-only.
WORKDIR /var/lib/blueprint
ENV HOME=/var/lib/blueprint
USER 10001:10001
ENTRYPOINT ["/usr/bin/tini", "--", "blueprint"]
CMD ["--help"]
HEALTHCHECK NONE
