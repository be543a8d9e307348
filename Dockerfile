# syntax=docker/dockerfile:1
# The image of the server, for linux/amd64 and linux/arm64: `make image`.
#
# Each platform builds on itself (natively, or emulated by buildx), so that an arm64 image holds an
# arm64 binary; the build checks it. Tags name versions; pin them by digest (`FROM …@sha256:…`) where
# two builds must give the same bytes. Both stages are Debian 12: the binary finds the glibc it was
# linked with.

FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /build
# Paths and times of this machine stay out of the binary.
ENV RUSTFLAGS="--remap-path-prefix=/build=. --remap-path-prefix=/usr/local/cargo=cargo"
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY manifests/demo manifests/demo
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# The bench and the tests are named in Cargo.toml; none of them is built.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo build --release --locked --bin tidegauge
ARG TARGETARCH
# /adapter is where the image of prometheus-adapter has its binary.
RUN case "$TARGETARCH" in \
      amd64) machine="X86-64" ;; \
      arm64) machine="AArch64" ;; \
      *) echo "this image is for linux/amd64 and linux/arm64, not $TARGETARCH" >&2; exit 1 ;; \
    esac \
    && readelf --file-header target/release/tidegauge | grep "Machine:.*$machine" \
    && install -D target/release/tidegauge /image/tidegauge \
    && ln -s /tidegauge /image/adapter

# glibc, libgcc, the roots of certificate authorities and nothing to run: no shell, no packages.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="tidegauge" \
      org.opencontainers.image.description="Custom, external and resource metrics for Kubernetes autoscalers, over Prometheus" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /image/ /
# A number, so that runAsNonRoot can tell.
USER 65532:65532
EXPOSE 6443
ENTRYPOINT ["/tidegauge"]
