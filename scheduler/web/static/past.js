// The history as the charts need it: fetched once, then only what is new.

const PATH = "/api/v1/history";

export class Past {
  constructor(get) {
    this.get = get;
    this.clear();
  }

  clear() {
    this.step = 0;
    this.at = [];
    this.cluster = { jain: [], free: [], fragmented: [] };
    this.tenants = new Map();
  }

  async refresh(now) {
    // A clock that went back means another server, or another run of the same.
    if (this.at.at(-1) > now) this.clear();
    const last = this.at.at(-1);
    let fresh = await this.get(last === undefined ? PATH : `${PATH}?after=${last}`);
    // The server has thinned its samples out: take all of them again.
    if (last !== undefined && fresh.step !== this.step) {
      fresh = await this.get(PATH);
      this.clear();
    }
    this.add(fresh);
  }

  add(fresh) {
    const before = this.at.length;
    this.step = fresh.step;
    this.at.push(...fresh.at);
    for (const name of Object.keys(this.cluster)) this.cluster[name].push(...fresh[name]);
    for (const { name, due, got } of fresh.tenants) {
      if (!this.tenants.has(name)) {
        const unknown = () => new Array(before).fill(null);
        this.tenants.set(name, { due: unknown(), got: unknown() });
      }
      this.tenants.get(name).due.push(...due);
      this.tenants.get(name).got.push(...got);
    }
    for (const track of this.tenants.values()) {
      while (track.due.length < this.at.length) {
        track.due.push(null);
        track.got.push(null);
      }
    }
  }
}
