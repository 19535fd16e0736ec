// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package grpcclient calls methods of gRPC servers. gRPC is HTTP/2 with five bytes before each message and a status after the last one, so
// net/http does nearly all of the work. docs/RATIONALE.md has the cost of google.golang.org/grpc.
package grpcclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

const maxHeader = 64 << 10 // of an answer

// Options say where a server is.
type Options struct {
	// Name stands for the server in errors.
	Name string
	// Address is what the server is asked for as: HOST:PORT.
	Address string
	// Dial connects.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is for a server that encrypts; nil: it does not.
	TLS *tls.Config
	// Proxy returns the proxy for a request to a server that encrypts; nil: there is none.
	Proxy func(*http.Request) (*url.URL, error)
}

// Client calls the methods of a gRPC server. The first call connects, and so does the first call after the connection was lost.
type Client struct {
	options Options

	transport func() *http.Transport // makes it at the first call
	conns     Conns
}

// New returns a client. It connects to nothing.
func New(o Options) *Client {
	c := &Client{options: o, conns: Conns{Dial: o.Dial}}
	c.transport = sync.OnceValue(func() *http.Transport {
		var protocols http.Protocols
		protocols.SetHTTP2(o.TLS != nil)
		protocols.SetUnencryptedHTTP2(o.TLS == nil)
		transport := &http.Transport{
			DialContext: c.conns.DialContext, Protocols: &protocols, TLSClientConfig: o.TLS,
			DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
		}
		if o.TLS != nil {
			transport.Proxy = o.Proxy
		}
		return transport
	})
	return c
}

// Lost returns a channel that is closed when a connection is lost.
func (c *Client) Lost() <-chan struct{} { return c.conns.lostOne() }

// Disconnect closes all connections, whatever the server does. Calls that have no answer yet fail, and the next call connects.
func (c *Client) Disconnect() error { return c.conns.Disconnect() }

// Close closes all connections, whatever the server does. Calls fail from now on.
func (c *Client) Close() error { return c.conns.Close() }

// Call is one call of a method.
type Call struct {
	Method  string      // "containerd.services.events.v1.Events/Subscribe"
	Header  http.Header // beside what gRPC needs; may be nil
	Request []byte
	Gzip    bool // the request is compressed with gzip, and the answer may be
	Limit   int  // of bytes in an answer
}

// Unary calls a method with one answer.
func (c *Client) Unary(ctx context.Context, call *Call) ([]byte, error) {
	s, err := c.Open(ctx, call)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	answer, err := s.Next()
	if err == io.EOF {
		return nil, c.Explain(ctx, errors.New("no answer"))
	}
	if err != nil {
		return nil, err
	}
	switch _, err := s.Next(); err {
	case io.EOF:
		return answer, nil
	case nil:
		return nil, c.Explain(ctx, errors.New("two answers to one request"))
	default:
		return nil, err
	}
}

// Open calls a method and returns when the server begins to answer.
func (c *Client) Open(ctx context.Context, call *Call) (*Stream, error) {
	r, err := c.newRequest(ctx, call)
	if err != nil {
		return nil, c.Explain(ctx, err)
	}
	answer, err := c.transport().RoundTrip(r)
	if err != nil {
		return nil, c.Explain(ctx, err)
	}
	s := &Stream{ctx: ctx, client: c, answer: answer, limit: call.Limit, gzip: call.Gzip}
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "application/grpc") {
		s.Close()
		return nil, c.Explain(ctx, &NotGRPCError{answer.StatusCode, kind})
	}
	return s, nil
}

func (c *Client) newRequest(ctx context.Context, call *Call) (*http.Request, error) {
	scheme := "http"
	if c.options.TLS != nil {
		scheme = "https"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://"+c.options.Address+"/"+call.Method, bytes.NewReader(frame(call)))
	if err != nil {
		return nil, err
	}
	r.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "User-Agent": {"gizmo"}}
	if call.Gzip {
		r.Header.Set("Grpc-Encoding", "gzip")
	}
	for key, values := range call.Header {
		r.Header[http.CanonicalHeaderKey(key)] = values
	}
	return r, nil
}

// frame puts the five bytes before a message: whether it is compressed, and its length.
func frame(call *Call) []byte {
	message := make([]byte, 1, headSize+len(call.Request))
	if call.Gzip {
		message[0] = 1
	}
	return append(binary.BigEndian.AppendUint32(message, uint32(len(call.Request))), call.Request...)
}

const headSize = 5

// NotGRPCError says that a server answered, but not as a gRPC server does.
type NotGRPCError struct {
	HTTPStatus  int
	ContentType string
}

// Error implements error.
func (e *NotGRPCError) Error() string {
	return fmt.Sprintf("not a gRPC server: HTTP status %d, content type %q", e.HTTPStatus, e.ContentType)
}

// Explain adds the name of the server to an error. If ctx is done, it returns that as the reason instead of the errors that followed
// from it.
func (c *Client) Explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op.Err // op repeats the address
	}
	return fmt.Errorf("%s: %w", c.options.Name, plain.Short(err))
}
