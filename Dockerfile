# syntax=docker/dockerfile:1
# Two images from one build: `--target control` (the `sluice` binary: console, admin API) and `--target gateway`
# (the slim `sluice-gateway`).

FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
# Compiled with a profile of real load, for which the build installs nginx, wrk and h2load and wants two cores;
# `--build-arg DIST=--plain` goes without.
ARG DIST=
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo xtask dist $DIST \
    && mkdir /built \
    && cp target/shipped/sluice target/shipped/sluice-gateway /built/

FROM debian:bookworm-slim AS base
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/sluice --create-home sluice \
    # Where docker-compose.yml hands the enrolment token over: a volume takes its owner from here.
    && install --directory --owner sluice /enrolment
USER sluice
WORKDIR /var/lib/sluice
ENV SLUICE_DATA=/var/lib/sluice
VOLUME /var/lib/sluice

FROM base AS gateway
COPY --from=build /built/sluice-gateway /usr/local/bin/
EXPOSE 8000 8001
ENTRYPOINT ["sluice-gateway"]

# The last stage is what `docker build .` makes.
FROM base AS control
COPY --from=build /built/sluice /usr/local/bin/
EXPOSE 8080
ENTRYPOINT ["sluice"]
CMD ["control"]
