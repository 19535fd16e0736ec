// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/gizmo-ebpf/gizmo/container"
)

// Bounds for what gRPC servers send.
const (
	maxList   = 16 << 20 // of an answer that lists things; as much as containerd and the kubelet take
	maxObject = 4 << 20  // of an answer about one thing; gRPC's own default
	maxHeader = 64 << 10
	maxKept   = 32 << 20 // of what one list says of containers, in as many messages as it may

	maxObjects = 1 << 15 // containers or sandboxes in a list
)

var errNoID = errors.New("a container without an id")

// canBeID reports whether a container may have this id. In some requests an empty id means any container.
func canBeID(id string) bool { return id != "" && len(id) <= maxText && utf8.ValidString(id) }

// sizeOf returns roughly how many bytes of memory an identity takes.
func sizeOf(id *container.Identity) int {
	const structure = 512
	size := structure + len(id.ID) + len(id.Name) + len(id.Image)
	for _, labels := range []map[string]string{id.Labels, id.Pod.Labels} {
		for key, value := range labels {
			size += len(key) + len(value)
		}
	}
	return size
}

// grpcClient calls the methods of a gRPC server at a Unix socket. gRPC is HTTP/2 with five bytes before each message and a
// status after the last one, so net/http does nearly all of the work. docs/RATIONALE.md has the cost of
// google.golang.org/grpc.
//
// The first call connects, and so does the first call after the connection was lost.
type grpcClient struct {
	socket string

	transport func() *http.Transport // makes it at the first call

	mu     sync.Mutex
	conns  map[*grpcConn]struct{}
	lost   chan struct{} // closed when a connection is lost, and then replaced
	closed bool
}

func newGRPCClient(socket string) *grpcClient {
	c := &grpcClient{socket: socket}
	c.transport = sync.OnceValue(func() *http.Transport {
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		return &http.Transport{
			DialContext: c.dial, Protocols: &protocols, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
		}
	})
	return c
}

// grpcConn tells its client when it is closed. Its client and the transport may both close it, at the same time: the transport
// does so after the server has closed it, or after the last call.
type grpcConn struct {
	net.Conn
	close func() error // closes Conn the first time, and returns the same result each time
}

func (c *grpcConn) Close() error { return c.close() }

func (c *grpcClient) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.socket)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	tracked := &grpcConn{Conn: conn}
	tracked.close = sync.OnceValue(func() error {
		c.forget(tracked)
		return conn.Close()
	})
	if c.conns == nil {
		c.conns = make(map[*grpcConn]struct{})
	}
	c.conns[tracked] = struct{}{}
	return tracked, nil
}

func (c *grpcClient) forget(conn *grpcConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conns, conn)
	if c.lost != nil {
		close(c.lost)
		c.lost = nil
	}
}

// Close closes all connections, whatever the server does.
func (c *grpcClient) Close() error {
	c.mu.Lock()
	c.closed = true
	conns := make([]*grpcConn, 0, len(c.conns))
	for conn := range c.conns {
		conns = append(conns, conn)
	}
	c.mu.Unlock()
	var err error
	for _, conn := range conns {
		err = errors.Join(err, conn.Close())
	}
	return err
}

// call calls a method with one answer. An answer of more than limit bytes is an error.
func (c *grpcClient) call(ctx context.Context, m method, request []byte, limit int) ([]byte, error) {
	s, err := c.open(ctx, m, request, limit)
	if err != nil {
		return nil, err
	}
	defer s.close()
	answer, err := s.next()
	if err == io.EOF {
		return nil, c.explain(ctx, errors.New("no answer"))
	}
	if err != nil {
		return nil, err
	}
	switch _, err := s.next(); err {
	case io.EOF:
		return answer, nil
	case nil:
		return nil, c.explain(ctx, errors.New("two answers to one request"))
	default:
		return nil, err
	}
}

// method is a method of a service, and the namespace of containerd for the call; "" for none.
type method struct {
	name      string // "containerd.services.events.v1.Events/Subscribe"
	namespace string
}

// open calls a method and returns when the server begins to answer.
func (c *grpcClient) open(ctx context.Context, m method, request []byte, limit int) (*grpcStream, error) {
	message := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(request))) // 0: not compressed
	message = append(message, request...)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/"+m.name, bytes.NewReader(message))
	if err != nil {
		return nil, err
	}
	r.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "User-Agent": {"gizmo"}}
	if m.namespace != "" {
		r.Header.Set("containerd-namespace", m.namespace)
	}
	answer, err := c.transport().RoundTrip(r)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	s := &grpcStream{ctx: ctx, client: c, answer: answer, limit: limit}
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "application/grpc") {
		s.close()
		return nil, c.explain(ctx, fmt.Errorf("not a gRPC server: HTTP status %d, content type %q", answer.StatusCode, kind))
	}
	return s, nil
}

// explain adds the socket to an error. If ctx is done, it returns that as the reason instead of the errors that followed
// from it.
func (c *grpcClient) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op.Err // op repeats the socket
	}
	return fmt.Errorf("%s: %w", c.socket, &shortError{err})
}

// grpcStream is the answers to a call.
type grpcStream struct {
	ctx    context.Context
	client *grpcClient
	answer *http.Response
	limit  int
}

func (s *grpcStream) close() { _ = s.answer.Body.Close() }

// next returns the next message, which the caller may keep, and io.EOF after the last one.
func (s *grpcStream) next() ([]byte, error) {
	message, err := s.read()
	if err == io.EOF {
		err = s.status()
	}
	if err != nil && err != io.EOF {
		return nil, s.client.explain(s.ctx, err)
	}
	return message, err
}

func (s *grpcStream) read() ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(s.answer.Body, head[:]); err != nil {
		return nil, err
	}
	if head[0] != 0 {
		return nil, errors.New("the answer is compressed, which gizmo did not ask for")
	}
	length := binary.BigEndian.Uint32(head[1:])
	if int64(length) > int64(s.limit) {
		return nil, fmt.Errorf("an answer of %d bytes, more than %d", length, s.limit)
	}
	return readGrowing(s.answer.Body, int(length))
}

// readGrowing reads a number of bytes. Its buffer grows with the bytes that arrive: a server can announce many and send none.
func readGrowing(in io.Reader, length int) ([]byte, error) {
	const least = 16 << 10
	message := make([]byte, 0, min(length, least))
	for len(message) < length {
		if len(message) == cap(message) {
			message = append(make([]byte, 0, min(length, 2*cap(message))), message...)
		}
		n, err := io.ReadFull(in, message[len(message):cap(message)])
		message = message[:len(message)+n]
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
	}
	return message, nil
}

// status returns how a call ended; io.EOF for success. If a call fails at once, its status is in the header.
func (s *grpcStream) status() error {
	from := s.answer.Trailer
	if from.Get("Grpc-Status") == "" {
		from = s.answer.Header
	}
	code, err := strconv.ParseUint(from.Get("Grpc-Status"), 10, 16)
	if err != nil {
		return errors.New("the answer ends without a status")
	}
	if code == 0 {
		return io.EOF
	}
	text, err := url.PathUnescape(from.Get("Grpc-Message"))
	if err != nil {
		text = from.Get("Grpc-Message")
	}
	return &statusError{code: int(code), message: text}
}

// The codes of gRPC that gizmo tells apart.
const (
	codeNotFound      = 5
	codeUnimplemented = 12
)

// statusError says that a server refused a call.
type statusError struct {
	code    int
	message string
}

func (e *statusError) Error() string { return fmt.Sprintf("%s (gRPC status %d)", e.message, e.code) }

// Is reports whether the error means that the server does not have the method.
func (e *statusError) Is(target error) bool {
	return target == errors.ErrUnsupported && e.code == codeUnimplemented
}

// isRefused reports whether a server has refused a call; it may answer others.
func isRefused(err error) bool {
	var status *statusError
	return errors.As(err, &status)
}

// hasCode reports whether a server refused a call with this code.
func hasCode(err error, code int) bool {
	var status *statusError
	return errors.As(err, &status) && status.code == code
}
