// Moments stand on pages in UTC. Here they are said in the reader's zone, in the same form and width, so that nothing moves. What is exact (records,
// files, code, fields) is left as it is.
const MOMENT = /\b(\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC\b/g;
const EXACT = 'pre, code, textarea, input, select, script, svg';

const part = (parts, type) => parts.find((one) => one.type === type)?.value ?? '';
const zoned = new Intl.DateTimeFormat('en-GB', {
  year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZoneName: 'short',
});

function said(at) {
  const parts = zoned.formatToParts(at);
  const [year, month, day, hour, minute, zone] = ['year', 'month', 'day', 'hour', 'minute', 'timeZoneName'].map((type) => part(parts, type));
  return `${year}-${month}-${day} ${hour}:${minute} ${zone}`;
}

function local(text) {
  return text.replace(MOMENT, (whole, day, time) => {
    const at = new Date(`${day}T${time}:00Z`);
    return Number.isNaN(at.getTime()) ? whole : said(at);
  });
}

const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  if (!node.parentElement?.closest(EXACT)) {
    const text = local(node.data);
    if (text !== node.data) {
      node.parentElement.title = node.data.trim();
      node.data = text;
    }
  }
}
