# The image of Fairlead: Node, the program and what it needs, and nothing else: no shell, no npm, no root.
#
#   docker build -t fairlead .
#   docker run --rm -p 8080:8080 fairlead http://host.docker.internal:3001
#
# docs/operations.md#containers says how it is run; examples/containers and examples/kubernetes run it.

# What is installed with it.
FROM node:24-slim AS packages
WORKDIR /fairlead
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts

# The program.
FROM node:24-slim AS build
WORKDIR /fairlead
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build
RUN mkdir -p state

FROM gcr.io/distroless/nodejs24-debian12:nonroot
WORKDIR /fairlead
COPY package.json LICENSE ./
COPY --from=packages /fairlead/node_modules ./node_modules
COPY --from=build /fairlead/dist ./dist
# What the admin API changes is kept here: a volume that is mounted for the first time gets this owner.
COPY --from=build --chown=65532:65532 /fairlead/state /var/lib/fairlead
ENV NODE_ENV=production FAIRLEAD_STATE_FILE=/var/lib/fairlead/state.json
# By number, since `runAsNonRoot` of Kubernetes does not look names up.
USER 65532:65532
# A config called fairlead.config.yaml that is mounted here is found, by the health check as well.
WORKDIR /etc/fairlead
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/nodejs/bin/node", "/fairlead/dist/cli/main.js", "healthcheck"]
# As process 1 it hears signals itself, and it has no children whose ends it would miss: it needs no init before it.
ENTRYPOINT ["/nodejs/bin/node", "/fairlead/dist/cli/main.js"]
