"use strict";
// Follows the traffic where the pages come from mitmweb: asks once a second what was added.
// From disk the pages stay as they were opened.
(() => {
  const { count, say, visible } = cosInspect.dom;
  const store = cosInspect.store;
  const EVERY = 1000;
  const LONGEST = 8000;
  const button = document.getElementById("live");
  let place = null;
  let wait = EVERY;
  let arrived = 0;
  let told = null;

  const show = (text, title, lost = false) => {
    button.hidden = false;
    if (button.textContent !== text) button.textContent = text;
    button.title = title;
    button.classList.toggle("lost", lost);
  };
  const tellTrouble = (why) => {
    const place = document.getElementById("trouble");
    const text = why ? `Reports cannot be written at present: ${visible(why)}. They are kept and tried again; this page is of before.` : "";
    if (place.textContent !== text) place.textContent = text;
    place.hidden = !text;
  };
  const address = () => {
    if (!place) return "changes.js";
    const rows = Object.entries(place.rows).map(([file, offset]) => `${file}:${offset}`).join(",");
    return `changes.js?rows=${rows}&summary=${encodeURIComponent(place.summary)}`;
  };
  // Resolves with what was reached; the lines before it have gone into the store.
  const ask = () =>
    store.load(address()).then(() => {
      const answer = told;
      told = null;
      if (!answer) throw new Error("changes.js cannot be read");
      return answer;
    });

  const look = async () => {
    if (document.hidden) return EVERY;
    let answer;
    try {
      answer = await ask();
    } catch {
      store.taken();
      show("Not live", "mitmweb does not answer; the page shows what it knew last", true);
      return (wait = Math.min(wait * 2, LONGEST));
    }
    wait = EVERY;
    if (answer.anew) {
      try {
        // The place first, so that nothing falls in between.
        place = null;
        place = await ask();
        await store.again();
      } catch {
        location.reload();
      }
      cosInspect.app.renew(new Set());
      return EVERY;
    }
    const known = place.summary;
    place = answer;
    tellTrouble(answer.trouble);
    const { rows, fresh } = store.taken();
    arrived += fresh;
    if (answer.trouble) show("Stands still", "Reports cannot be written at present", true);
    else show(arrived ? `Live: ${arrived.toLocaleString("en")} new` : "Live", arrived ? `${count(arrived, "flow")} came since this page was opened. Go to the newest` : "The page follows the traffic");
    if (rows.size || known !== answer.summary) cosInspect.app.renew(rows);
    return answer.more ? 0 : EVERY;
  };
  const follow = async () => {
    setTimeout(follow, await look());
  };

  button.addEventListener("click", () => {
    arrived = 0;
    cosInspect.app.newest();
  });
  cosInspect.changes = (text) => {
    told = JSON.parse(text);
  };
  // {begin(): before the files are read, so that nothing falls in between; follow()}
  cosInspect.live = {
    isLive: false,
    async begin() {
      if (!location.protocol.startsWith("http") || !/\/cos\/[^/]*$/.test(location.pathname)) return;
      try {
        place = await ask();
        this.isLive = true;
        tellTrouble(place.trouble);
        document.getElementById("to-setup").hidden = false;
      } catch {
        // The files lie on some other server, which only hands them out.
      }
    },
    // A command of mitmweb; what it answers is said.
    async command(name, ...given) {
      let text = "mitmweb does not answer";
      try {
        const cookie = () => /(?:^|; )_mitmproxy_xsrf=([^;]*)/.exec(document.cookie)?.[1];
        // The cookie against forged requests comes with this address.
        if (!cookie()) await fetch("../updates");
        const answer = await fetch(`../commands/${name}`, {
          method: "POST",
          headers: { "Content-Type": "application/json", "X-XSRFToken": cookie() || "" },
          body: JSON.stringify({ arguments: given }),
        });
        const { value, error } = await answer.json();
        text = error || [value].flat().join("\n");
      } catch {
        // Said as it stands.
      }
      say(text, 12_000);
    },
    follow() {
      if (!this.isLive) return;
      show("Live", "The page follows the traffic");
      setTimeout(follow, EVERY);
    },
  };
})();
