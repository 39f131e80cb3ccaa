// Says which of the links of the head leads to where the reader is, for those who are told and not shown.

const OTHERS = {
  '/console/runs': '/console/experiments', '/console/compare/models': '/console/models', '/console/compare': '/console/experiments',
  '/console/predictions': '/console/endpoints', '/console/people': '/console/access', '/console/services': '/console/access',
  '/console/log-ins': '/console/access', '/console/erasure': '/console/vault', '/console/detections': '/console/audit',
};
const within = (path, folder) => path === folder || path.startsWith(`${folder}/`);
const here = location.pathname;
const other = Object.keys(OTHERS).filter((folder) => within(here, folder)).sort((one, two) => two.length - one.length)[0];
const wanted = other ? OTHERS[other] : here;
for (const link of document.querySelectorAll('header nav a')) {
  const { pathname } = new URL(link.href);
  if (pathname === '/console' ? wanted === '/console' || wanted === '/' : within(wanted, pathname)) {
    link.setAttribute('aria-current', pathname === here ? 'page' : 'true');
  }
}
