// Adds a viewer's signed id to the URIs in HLS playlists; see rewrite.conf.
//
// Rewritten are lines that are URIs, and URI="..." of the tags below, if they are
// relative or lead to the host that the viewer asked. Left as they are: other
// hosts, keys that are not fetched by HTTP (skd:, data:), URIs in other tags
// (EXT-X-DATERANGE), playlists above 4 MiB, compressed ones and such as are not
// UTF-8, whatever does not begin with #EXTM3U, and every format but HLS (a DASH
// manifest is not touched).
//
// Written for njs 0.7.9, which Debian 12 has.

const TAGS = /^#EXT-X-(?:MAP|KEY|SESSION-KEY|MEDIA|I-FRAME-STREAM-INF|IMAGE-STREAM-INF|PART|PRELOAD-HINT|RENDITION-REPORT|SESSION-DATA):/;
const LIMIT = 4 * 1024 * 1024;

// Of one request: njs gives each its own.
let id = '';
let chunks = [];
let size = 0;

// headers decides whether a response will be rewritten. Its length is not known
// yet, and what makes a copy reusable would be wrong for the next viewer.
function headers(r) {
    const given = r.variables.altagate_id;
    if (r.status != 200 || !given || !/^[\w.-]+$/.test(given) || r.headersOut['Content-Encoding']) {
        return;
    }
    id = given;
    chunks = [];
    delete r.headersOut['Content-Length'];
    delete r.headersOut['ETag'];
    delete r.headersOut['Last-Modified'];
    delete r.headersOut['Accept-Ranges'];
}

// body collects a playlist, and sends it rewritten when it is whole. It is given
// bytes: a character may be cut in two between one call and the next.
function body(r, data, flags) {
    if (!id) {
        r.sendBuffer(data, flags);
        return;
    }
    chunks.push(Buffer.from(data));
    size += data.length;
    if (size > LIMIT) {
        id = '';
        r.sendBuffer(Buffer.concat(chunks), flags);
    } else if (flags.last) {
        r.sendBuffer(playlist(Buffer.concat(chunks), id, authority(r.headersIn.Host || '')), flags);
    }
}

function playlist(bytes, id, host) {
    const text = bytes.toString();
    if (!/^#EXTM3U/.test(text) || !Buffer.from(text).equals(bytes)) {
        return bytes;
    }
    return text.split('\n').map((line) => rewritten(line, id, host)).join('\n');
}

function rewritten(line, id, host) {
    if (line[0] != '#') {
        const bare = line.trim();
        return bare ? line.replace(bare, () => withID(bare, id, host)) : line;
    }
    if (!TAGS.test(line)) {
        return line;
    }
    // Each attribute in turn, so that no quoted text is taken for one.
    return line.replace(/([A-Z0-9-]+=)("[^"]*"|[^",]*)/g, (all, name, value) => {
        if (name != 'URI=' || value[0] != '"') {
            return all;
        }
        return name + '"' + withID(value.slice(1, -1), id, host) + '"';
    });
}

// withID gives a URI with the id in its query, if it leads to the viewer's host.
function withID(uri, id, host) {
    // Players would not agree where one leads that has a backslash or a tab.
    if (!uri || /[\x00-\x1f\\]/.test(uri)) {
        return uri;
    }
    const parts = uri.match(/^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/([^\/?#]*))?/);
    const scheme = parts[1], there = parts[2];
    if (scheme !== undefined && (!/^https?$/i.test(scheme) || there === undefined)) {
        return uri;
    }
    if (there !== undefined && authority(there) != host) {
        return uri;
    }
    const hash = uri.indexOf('#');
    const fragment = hash < 0 ? '' : uri.slice(hash);
    const rest = hash < 0 ? uri : uri.slice(0, hash);
    const mark = rest.indexOf('?');
    const path = mark < 0 ? rest : rest.slice(0, mark);
    // The rest of the query stays as it is, byte for byte.
    const query = mark < 0 ? '' : rest.slice(mark + 1).split('&').filter((part) => part.split('=')[0] != 'altagate_id').join('&');
    return path + '?' + (query ? query + '&' : '') + 'altagate_id=' + id + fragment;
}

// authority is a host and port without the port that goes without saying.
function authority(host) {
    return host.toLowerCase().replace(/:(?:80|443)?$/, '');
}

export default { headers, body };
