// Requests to the API. The credential is sent in a header, never in a URL.

export class Refused extends Error {
  constructor(problem) {
    const reasons = (problem.errors ?? []).map((error) => `${error.parameter ?? ""} ${error.detail}`.trim());
    super(reasons.join("; ") || problem.detail);
    this.status = problem.status;
  }
}

export async function ask(path, parameters, credential) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== ""));
  const reply = await fetch(`/api/analytics/${path}?${query}`, {
    headers: { Authorization: `Bearer ${credential}` },
    cache: "no-store",
  });
  const answer = await reply.json();
  if (!reply.ok) throw new Refused(answer);
  return answer;
}
