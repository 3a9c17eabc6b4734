# Builds dist, then leaves everything behind that only building needs.
FROM node:20-alpine AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The sources are not here yet, so `prepare` could not build them.
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build

FROM node:20-alpine
ENV NODE_ENV=production
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force
COPY --from=build /app/dist ./dist
COPY examples ./examples
USER node
EXPOSE 3001
# Node itself, not npm, so that it is told of SIGTERM and can let its clients finish.
CMD ["node", "examples/basic-usage.js"]
