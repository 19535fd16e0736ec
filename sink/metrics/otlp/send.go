// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/grpcclient"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

const (
	method    = "opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
	protobuf  = "application/x-protobuf"
	maxAnswer = 64 << 10
	maxHeader = 64 << 10
	idleTime  = 5 * time.Minute
)

// sender sends requests to a receiver. The first one connects.
type sender interface {
	// send returns the answer. Its errors are refusals.
	send(ctx context.Context, request []byte) (answer []byte, err *refusal)
	// disconnect closes the connections. The next request connects.
	disconnect()
	// close is disconnect for good.
	close() error
}

func newSender(c *Config, to *target) (sender, error) {
	secure, err := c.tls(to)
	if err != nil {
		return nil, err
	}
	header := http.Header{"User-Agent": {"gizmo/" + cmp.Or(c.Version, "unknown")}}
	for name, value := range c.Headers {
		header.Set(name, value)
	}
	if c.Exporter == GRPC {
		o := grpcclient.Options{Name: to.address, Address: to.address, Dial: new(net.Dialer).DialContext, TLS: secure, Proxy: http.ProxyFromEnvironment}
		return &grpcSender{grpcclient.New(o), header, c.Gzip}, nil
	}
	return newHTTPSender(to, secure, header, c.Gzip), nil
}

type grpcSender struct {
	client *grpcclient.Client
	header http.Header
	gzip   bool
}

func (s *grpcSender) send(ctx context.Context, request []byte) ([]byte, *refusal) {
	if s.gzip {
		request = compressed(request)
	}
	answer, err := s.client.Unary(ctx, &grpcclient.Call{Method: method, Header: s.header, Request: request, Gzip: s.gzip, Limit: maxAnswer})
	if err != nil {
		return nil, refusedByGRPC(err)
	}
	return answer, nil
}

func (s *grpcSender) disconnect()  { _ = s.client.Disconnect() }
func (s *grpcSender) close() error { return s.client.Close() }

type httpSender struct {
	to     *target
	conns  grpcclient.Conns
	client http.Client
	header http.Header
	gzip   bool
}

func newHTTPSender(to *target, secure *tls.Config, header http.Header, compress bool) *httpSender {
	header.Set("Content-Type", protobuf)
	if compress {
		header.Set("Content-Encoding", "gzip")
	}
	s := &httpSender{to: to, header: header, gzip: compress, conns: grpcclient.Conns{Dial: new(net.Dialer).DialContext}}
	s.client = http.Client{
		Transport: &http.Transport{
			DialContext: s.conns.DialContext, TLSClientConfig: secure, ForceAttemptHTTP2: true, Proxy: http.ProxyFromEnvironment,
			DisableCompression: true, MaxResponseHeaderBytes: maxHeader, IdleConnTimeout: idleTime,
		},
		// The metrics go where the user said.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s
}

func (s *httpSender) send(ctx context.Context, request []byte) ([]byte, *refusal) {
	if s.gzip {
		request = compressed(request)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.to.url(), bytes.NewReader(request))
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	r.Header = s.header
	answer, err := s.client.Do(r)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch kind := answer.Header.Get("Content-Type"); {
	case answer.StatusCode/100 != 2:
		r := refusedByHTTP(answer.StatusCode, answer.Header, body, time.Now())
		r.err = s.name(r.err)
		return nil, r
	case err != nil:
		return nil, s.fail(ctx, err)
	case strings.HasPrefix(kind, "text/html"): // a server that says 200 to everything
		return nil, &refusal{err: s.name(errors.New("the answer is a web page, not one of OpenTelemetry"))}
	case kind != protobuf:
		return nil, nil // taken, and not a word more that gizmo could read
	}
	return body, nil
}

// fail returns the refusal for a request that did not reach the receiver, or whose answer did not come.
func (s *httpSender) fail(ctx context.Context, err error) *refusal {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	var wrapped *url.Error // repeats the address
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return &refusal{err: s.name(err), again: true}
}

func (s *httpSender) name(err error) error { return fmt.Errorf("%s: %w", s.to.url(), plain.Short(err)) }

func (s *httpSender) disconnect()  { _ = s.conns.Disconnect() }
func (s *httpSender) close() error { return s.conns.Close() }

func compressed(request []byte) []byte {
	var out bytes.Buffer // writing to it does not fail
	compressor := gzip.NewWriter(&out)
	_, _ = compressor.Write(request)
	_ = compressor.Close()
	return out.Bytes()
}
