// Passkeys are the one thing that a page cannot do without a script. A form with `data-passkey` asks the browser for a key and sends what it
// answers; all else is done by the server.

const decode = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));

const encode = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");

const make = async (form) => {
  const { challenge, handle, account, algorithms } = form.dataset;
  const made = await navigator.credentials.create({
    publicKey: {
      challenge: decode(challenge),
      rp: { name: "Strongroom" },
      user: { id: decode(handle), name: account, displayName: account },
      pubKeyCredParams: algorithms.split(",").map((alg) => ({ type: "public-key", alg: Number(alg) })),
      authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
      attestation: "none",
      timeout: 300000,
    },
  });
  return {
    client_data: encode(made.response.clientDataJSON),
    attestation_object: encode(made.response.attestationObject),
  };
};

const show = async (form) => {
  const shown = await navigator.credentials.get({
    publicKey: { challenge: decode(form.dataset.challenge), userVerification: "required", timeout: 300000 },
  });
  return {
    credential_id: encode(shown.rawId),
    client_data: encode(shown.response.clientDataJSON),
    authenticator_data: encode(shown.response.authenticatorData),
    signature: encode(shown.response.signature),
  };
};

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fault = form.querySelector("[role=alert]");
    fault.hidden = true;
    try {
      const answer = form.dataset.passkey === "make" ? await make(form) : await show(form);
      for (const [name, value] of Object.entries(answer)) form.elements[name].value = value;
      form.submit();
    } catch (error) {
      fault.textContent =
        error.name === "NotAllowedError"
          ? "No passkey was used: it was cancelled, took too long, or there is none for this server on this device."
          : `The browser could not use a passkey (${error.name}).`;
      fault.hidden = false;
    }
  });
}
