// An origin of HTTP/1.1 that answers with trailers: the one it was sent (x-sent), and the TE field that it saw.
//
// Prints `ready listen=http://127.0.0.1:PORT` once it accepts. Ends with SIGTERM.
import http from 'node:http';

const server = http.createServer((request, response) => {
  let bytes = 0;
  request.on('data', (part) => (bytes += part.length));
  request.on('end', () => {
    response.writeHead(200, { trailer: 'x-bytes, x-sent, x-te', 'content-type': 'text/plain' });
    response.write('before the trailers');
    const sent = request.trailers['x-sent'] ?? '';
    response.addTrailers({ 'x-bytes': bytes, 'x-sent': sent, 'x-te': request.headers.te ?? '' });
    response.end();
  });
});
server.listen(0, '127.0.0.1', () => console.log(`ready listen=http://127.0.0.1:${server.address().port}`));
