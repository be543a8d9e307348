# syntax=docker/dockerfile:1
# Two images, for linux/amd64 and linux/arm64: the server (`make image`, and what is built without a
# target), and the example service (`make shop`).
#
# Each platform builds on itself (natively, or emulated by buildx), so that an arm64 image holds an
# arm64 binary; the build checks it. Tags name versions; pin them by digest (`FROM …@sha256:…`) where
# two builds must give the same bytes. All stages are Debian 12: a binary finds the glibc it was
# linked with.

FROM docker.io/library/rust:1.95-bookworm AS sources
WORKDIR /build
# Paths and times of this machine stay out of the binary.
ENV RUSTFLAGS="--remap-path-prefix=/build=. --remap-path-prefix=/usr/local/cargo=cargo"
COPY Cargo.toml Cargo.lock build.rs ./
COPY src src
COPY manifests manifests
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ARG TARGETARCH
RUN case "$TARGETARCH" in \
      amd64) echo "X86-64" ;; \
      arm64) echo "AArch64" ;; \
      *) echo "these images are for linux/amd64 and linux/arm64, not $TARGETARCH" >&2; exit 1 ;; \
    esac > /machine

FROM sources AS build
ARG REVISION
# The benches and the tests are named in Cargo.toml; none of them is built.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    TIDEGAUGE_COMMIT="$REVISION" cargo build --release --locked --bin tidegauge
# /adapter is where the image of prometheus-adapter has its binary.
RUN readelf --file-header target/release/tidegauge | grep "Machine:.*$(cat /machine)" \
    && install -D target/release/tidegauge /image/tidegauge \
    && ln -s /tidegauge /image/adapter

FROM sources AS build-example
ARG REVISION
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    REVISION="$REVISION" cargo build --release --locked --features example --bin example-service
RUN readelf --file-header target/release/example-service | grep "Machine:.*$(cat /machine)" \
    && install -D target/release/example-service /image/example-service

# glibc, libgcc, the roots of certificate authorities and nothing to run: no shell, no packages.
FROM gcr.io/distroless/cc-debian12:nonroot AS example-service
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="example-service" \
      org.opencontainers.image.description="A small shop that can be scaled: the example of Tidegauge" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build-example /image/ /
USER 65532:65532
EXPOSE 8080 9090
ENTRYPOINT ["/example-service"]

# The last one is the one without a target.
FROM gcr.io/distroless/cc-debian12:nonroot AS tidegauge
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="tidegauge" \
      org.opencontainers.image.description="Custom, external and resource metrics for Kubernetes autoscalers, over Prometheus" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /image/ /
# One heap for all threads of glibc's allocator: by default each has its own, which holds megabytes
# that nobody uses. Measured in `make bench`, which starts the binary with this environment.
ENV MALLOC_ARENA_MAX=1
# A number, so that runAsNonRoot can tell.
USER 65532:65532
EXPOSE 6443
ENTRYPOINT ["/tidegauge"]
