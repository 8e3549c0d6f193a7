// Log people in and out; as `login_routes.py`.

import { EdgeSearchError } from "./errors.js";

/** @type {Record<string, import("./routes.js").Handler>} */
export const LOGIN_ROUTES = {
  "GET me": async ({ access }) => {
    try {
      return await access.me();
    } catch (error) {
      if (error instanceof EdgeSearchError && error.kind === "DeviceError") return { role: "customer", name: "", needs_pin: false }; // nothing can be kept
      throw error;
    }
  },
  "POST login": ({ access }, { json }) => access.logIn(String(json?.pin ?? "")),
  "POST logout": ({ access }) => access.logOut(),
};
