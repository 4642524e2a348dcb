# The images of Blueprint. Targets: job (what pods run), certify (job and the environment that loads datasets with lerobot),
# airflow (what Airflow runs), isaac (the simulator service inside NVIDIA's Isaac Sim). docs/deploy.md says how to build each.
#
# The base is named by digest, so that two builds of one revision begin alike; apt still takes Debian's security updates. A newer base, or one
# of your own: --build-arg BASE_IMAGE=debian:bookworm-slim@sha256:…
# A package index, a mirror or an authority of your own comes in as secrets (id=pip: a pip.conf, id=ca: a PEM bundle); neither stays in a layer.
ARG BASE_IMAGE=debian:bookworm-slim@sha256:96e378d7e6531ac9a15ad505478fcc2e69f371b10f5cdf87857c4b8188404716
# Behind NVIDIA's licence and login, so there is no default that could be pulled.
ARG ISAAC_IMAGE=isaac-sim-image-is-not-set

# ---------------------------------------------------------------- python: the interpreter, and OpenGL that draws without a screen
FROM ${BASE_IMAGE} AS python
# The base fixes Debian's release; its security updates are wanted, so packages have no versions here.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libegl1 libgl1 libgl1-mesa-dri libosmesa6 python3 tini \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old
ENV PATH=/opt/blueprint-pipeline/bin:$PATH \
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
RUN python3 -m venv --without-pip /opt/blueprint-pipeline && python3 -m venv /opt/pip
ENV PIP_CACHE_DIR=/root/.cache/pip PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source

# ---------------------------------------------------------------- wheel: the package; its gRPC messages are generated here
FROM builder AS wheel
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY include include
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    /opt/pip/bin/python -m pip wheel --no-deps --wheel-dir /wheel .

# ---------------------------------------------------------------- job-environment: the locked dependencies, then the package
FROM builder AS job-environment
COPY requirements-job.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    /opt/pip/bin/python -m pip --python /opt/blueprint-pipeline/bin/python install --no-deps --require-hashes -r requirements-job.txt
COPY --from=wheel /wheel /wheel
# Labs, prices and policies stand at a path that does not depend on Python's version, so that a deployment can mount its own over them.
# Other packages' tests stay behind.
RUN /opt/pip/bin/python -m pip --python /opt/blueprint-pipeline/bin/python install --no-deps --no-index /wheel/*.whl \
    && config=$(/opt/blueprint-pipeline/bin/python -c 'import blueprint_pipeline.config_folder as found; print(found.CONFIG_FOLDER)') \
    && mv "$config" /etc/blueprint-pipeline \
    && ln -s /etc/blueprint-pipeline "$config" \
    && find /opt/blueprint-pipeline/lib -type d -name tests -prune -exec rm -rf {} +

# ---------------------------------------------------------------- job: what pods run; no Airflow, no pip, no compiler
FROM python AS job
COPY --from=job-environment /etc/blueprint-pipeline /etc/blueprint-pipeline
COPY --from=job-environment /opt/blueprint-pipeline /opt/blueprint-pipeline
RUN groupadd --gid 10001 blueprint-pipeline \
    && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /var/lib/blueprint-pipeline --shell /usr/sbin/nologin blueprint-pipeline \
    && install -d -o 10001 -g 10001 -m 0770 /var/lib/blueprint-pipeline
# Everything that is written goes here or to /tmp: mount both, and the root file system may be read-only.
WORKDIR /var/lib/blueprint-pipeline
ENV HOME=/var/lib/blueprint-pipeline
USER 10001:10001
ENTRYPOINT ["/usr/bin/tini", "--", "bpp"]
CMD ["--help"]
# A job ends by itself; who waits for it looks at its exit code.
HEALTHCHECK NONE
ARG REVISION=unknown
LABEL org.opencontainers.image.title="blueprint-pipeline job" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.revision="${REVISION}"

# ---------------------------------------------------------------- airflow-environment
FROM builder AS airflow-environment
COPY requirements-airflow.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    /opt/pip/bin/python -m pip --python /opt/blueprint-pipeline/bin/python install --no-deps --require-hashes -r requirements-airflow.txt
COPY --from=wheel /wheel /wheel
RUN /opt/pip/bin/python -m pip --python /opt/blueprint-pipeline/bin/python install --no-deps --no-index /wheel/*.whl \
    && config=$(/opt/blueprint-pipeline/bin/python -c 'import blueprint_pipeline.config_folder as found; print(found.CONFIG_FOLDER)') \
    && mv "$config" /etc/blueprint-pipeline \
    && ln -s /etc/blueprint-pipeline "$config" \
    && find /opt/blueprint-pipeline/lib -type d -name tests -prune -exec rm -rf {} +

# ---------------------------------------------------------------- airflow: every component of Airflow, with our DAGs; user and folders as the official chart has them
FROM python AS airflow
COPY --from=airflow-environment /etc/blueprint-pipeline /etc/blueprint-pipeline
COPY --from=airflow-environment /opt/blueprint-pipeline /opt/blueprint-pipeline
RUN useradd --uid 50000 --gid 0 --no-log-init --no-create-home --home-dir /home/airflow --shell /usr/sbin/nologin airflow \
    && install -d -o 50000 -g 0 -m 0770 /home/airflow /opt/airflow /opt/airflow/logs
COPY airflow_settings.yaml /opt/airflow/
COPY dags /opt/airflow/dags
COPY operators /opt/airflow/operators
COPY plugins /opt/airflow/plugins
WORKDIR /opt/airflow
ENV AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    HOME=/home/airflow \
    PYTHONPATH=/opt/airflow
USER 50000:0
# The chart says what each component runs (`airflow scheduler`, `bash -c …`) and probes it.
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["airflow", "version"]
HEALTHCHECK NONE
ARG REVISION=unknown
LABEL org.opencontainers.image.title="blueprint-pipeline airflow" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.revision="${REVISION}"

# ---------------------------------------------------------------- certify-environment: lerobot, torch and the public graders
FROM builder AS certify-environment
COPY requirements-certify.txt requirements-certify-oldest.txt requirements-torch.txt ./
# torch has a lock of its own: an index with its CPU build has other files (docs/deploy.md says how to lock those).
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    python3 -m venv --without-pip /opt/certify \
    && /opt/pip/bin/python -m pip --python /opt/certify/bin/python install --no-deps --require-hashes -r requirements-certify.txt \
    && /opt/pip/bin/python -m pip --python /opt/certify/bin/python install --no-deps --require-hashes -r requirements-certify-oldest.txt \
        --target /opt/certify/oldest-readers \
    && /opt/pip/bin/python -m pip --python /opt/certify/bin/python install --no-deps --require-hashes -r requirements-torch.txt

# ---------------------------------------------------------------- certify: job, able to load datasets with the real lerobot; production delivers nothing that it did not load
FROM job AS certify
USER 0
# torchcodec finds its codecs in the system's FFmpeg.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ffmpeg \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log
COPY --from=certify-environment /opt/certify /opt/certify
ENV BPP__DATASET__CERTIFY_PYTHON=/opt/certify/bin/python HF_HUB_OFFLINE=1
USER 10001:10001
LABEL org.opencontainers.image.title="blueprint-pipeline certify"

# ---------------------------------------------------------------- isaac: the simulator inside NVIDIA's Isaac Sim, under its own Python (3.11 in 5.1, 3.12 in 6.x)
# NVIDIA's licence is accepted by who deploys (ACCEPT_EULA=Y in the pod's environment), never here.
FROM ${ISAAC_IMAGE} AS isaac
USER 0
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /source
COPY requirements-job.txt ./
COPY --from=wheel /wheel /wheel
# The lock holds for 3.11 and 3.12 alike. What Isaac Sim ships wins: ours stands behind it on the path, for Kit's own modules are built
# against its numpy; and its USD comes with Kit, so ours is taken away. Only what speaks gRPC stands before it (PYTHONPATH): our messages
# refuse an older protobuf.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    /isaac-sim/python.sh -m pip install --no-cache-dir --no-deps --require-hashes --target /opt/blueprint-pipeline/site -r requirements-job.txt \
    && /isaac-sim/python.sh -m pip install --no-cache-dir --no-deps --no-index --target /opt/blueprint-pipeline/site /wheel/*.whl \
    && rm -rf /opt/blueprint-pipeline/site/pxr /source /wheel \
    && mkdir -p /opt/blueprint-pipeline/first/google \
    && mv /opt/blueprint-pipeline/site/google/{protobuf,_upb} /opt/blueprint-pipeline/first/google/ \
    && mv /opt/blueprint-pipeline/site/grpc* /opt/blueprint-pipeline/first/ \
    && echo /opt/blueprint-pipeline/site > "$(/isaac-sim/python.sh -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/blueprint-pipeline.pth" \
    && mv /opt/blueprint-pipeline/site/blueprint_pipeline/config /etc/blueprint-pipeline \
    && ln -s /etc/blueprint-pipeline /opt/blueprint-pipeline/site/blueprint_pipeline/config \
    && install -d -o 1234 -g 1234 -m 0770 /var/lib/blueprint-pipeline /isaac-sim/kit/cache /isaac-sim/.cache /isaac-sim/.nv /isaac-sim/.nvidia-omniverse \
        /isaac-sim/.local /isaac-sim/Documents
# NVIDIA's python.sh starts Python as its child: SIGTERM would not reach it, and any failure would become exit code 1. This one becomes it.
# The script's own variables are meant.
# hadolint ignore=SC2016
RUN sed 's/^\$python_exe "\$@" \$args || error_exit$/exec $python_exe "$@" $args/' /isaac-sim/python.sh > /isaac-sim/blueprint-pipeline.sh \
    && grep -q '^exec \$python_exe' /isaac-sim/blueprint-pipeline.sh \
    && chmod 0755 /isaac-sim/blueprint-pipeline.sh
# Caches of shaders and logs: mount a volume on each of the folders above, and the root file system may be read-only.
WORKDIR /var/lib/blueprint-pipeline
ENV HOME=/isaac-sim \
    NVIDIA_DRIVER_CAPABILITIES=all \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/opt/blueprint-pipeline/first \
    PYTHONUNBUFFERED=1
USER 1234:1234
# Whether all of it loads under this Python, next to what Isaac Sim brings, is known now and not in a pod. Kit is not started: that takes a GPU.
RUN /isaac-sim/blueprint-pipeline.sh -c 'import mink, mujoco, ompl.base, toppra; import blueprint_pipeline.simulation.service.server, blueprint_pipeline.proof.proof' \
    && /isaac-sim/blueprint-pipeline.sh -m blueprint_pipeline --version
# The image's own entry point would stream a desktop.
ENTRYPOINT ["/isaac-sim/blueprint-pipeline.sh", "-m", "blueprint_pipeline"]
CMD ["simulator", "serve", "--simulator", "isaac_sim"]
HEALTHCHECK --start-period=10m --interval=30s --timeout=10s \
    CMD ["/isaac-sim/blueprint-pipeline.sh", "-c", "import socket; socket.create_connection(('127.0.0.1', 50051), 5).close()"]
ARG REVISION=unknown
LABEL org.opencontainers.image.title="blueprint-pipeline isaac" \
    org.opencontainers.image.revision="${REVISION}"
