/**
 * The casbin model. Tenants are domains, so that nothing of one ever reaches another. Deny
 * overrides, and what nothing allows is denied. `covers` is ours (see policy.ts): casbin's keyMatch
 * is a prefix match and its regexMatch is not anchored. There is no `eval`.
 */
export const POLICY_MODEL = `
[request_definition]
r = sub, dom, act, res

[policy_definition]
p = sub, dom, act, res, eft

[role_definition]
g = _, _, _

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = r.dom == p.dom && r.act == p.act && g(r.sub, p.sub, r.dom) && covers(r.act, r.res, p.res)
`;
