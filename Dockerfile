# One node of Quorate. Settings come from QUORATE_… variables or a mounted file (docs/configuration.md).
FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY proto proto
COPY src src
COPY jepsen-lite jepsen-lite
COPY bench bench
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:20-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/proto proto
COPY --from=build /app/dist dist
COPY bin bin
RUN ln -s /app/bin/quorate /usr/local/bin/quorate && mkdir /data && chown node:node /data
USER node
ENV QUORATE_DATA_DIRECTORY=/data \
  QUORATE_CLIENT_LISTEN=0.0.0.0:7001 \
  QUORATE_PEER_LISTEN=0.0.0.0:7101
VOLUME /data
EXPOSE 7001 7101
# This node answers; whether the others do is `quorate status`.
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s --retries=3 \
  CMD ["quorate", "--endpoints", "127.0.0.1:7001", "status", "--json"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["quorate"]
CMD ["serve"]
