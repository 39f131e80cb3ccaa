// A real OpenID Connect provider for the tests: https://localhost:PORT, whose people stand in a file that the tests write.
// node oidc_provider.mjs PORT KEY.pem CERT.pem REDIRECT_URI PEOPLE.json LOGOUT_URI

import fs from "node:fs";
import https from "node:https";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [port, key, cert, redirect, file, logout] = process.argv.slice(2);
const modules = process.env.STRONGROOM_NODE_MODULES;
const { default: Provider } = await import(pathToFileURL(path.join(modules, "oidc-provider", "lib", "index.js")));
const people = () => JSON.parse(fs.readFileSync(file, "utf8"));
const STRONG = "urn:example:two-factors";

const provider = new Provider(`https://localhost:${port}`, {
  clients: [
    {
      client_id: "strongroom",
      client_secret: "a secret of the tests",
      redirect_uris: [redirect],
      response_types: ["code"],
      grant_types: ["authorization_code"],
      backchannel_logout_uri: logout,
      backchannel_logout_session_required: true,
    },
  ],
  acrValues: [STRONG],
  claims: { openid: ["sub", "acr", "auth_time"], profile: ["preferred_username", "groups"] },
  conformIdTokenClaims: false,
  // Its guard lets it ask nobody on this machine, where our server is.
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
  cookies: { keys: ["a key of the tests"] },
  features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  pkce: { required: () => true },
  async findAccount(_, id) {
    const found = people()[id];
    return found && { accountId: id, claims: () => ({ sub: id, preferred_username: found.name, groups: found.groups }) };
  },
  async loadExistingGrant(context) {
    const grant = new context.oidc.provider.Grant({
      clientId: context.oidc.client.clientId,
      accountId: context.oidc.session.accountId,
    });
    grant.addOIDCScope("openid profile email");
    await grant.save();
    return grant;
  },
});

provider.on('backchannel.error', (_, error) => console.error(error));
const answer = provider.callback();
const server = https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(cert) }, async (request, response) => {
  const [, name, uid] = request.url.split("/");
  if (name !== "interaction") return answer(request, response);
  if (request.method === "GET") {
    response.setHeader("content-type", "text/html");
    return response.end(`<form method="post" action="/interaction/${uid}"><input name="login"><button>Log in</button></form>`);
  }
  let body = "";
  for await (const piece of request) body += piece;
  const login = new URLSearchParams(body).get("login");
  const acr = people()[login]?.strong ? STRONG : undefined;
  await provider.interactionFinished(request, response, { login: { accountId: login, acr, remember: false } });
});
server.listen(Number(port), "127.0.0.1", () => console.log("listening"));
