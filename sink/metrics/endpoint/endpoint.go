// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package endpoint serves metrics over HTTP, in the text format of Prometheus.
package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	standard "github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gizmo-ebpf/gizmo/sink/metrics"
)

const (
	// DefaultAddress is where scrapers find the metrics unless the user says otherwise: this machine only.
	DefaultAddress = "127.0.0.1:2224"
	// Path is where the metrics are.
	Path = "/metrics"

	headTimeout  = 5 * time.Second
	writeTimeout = 30 * time.Second
	idleTimeout  = 5 * time.Minute
	endTimeout   = time.Second
	// maxRequests is how many scrapers are served at the same time.
	maxRequests = 4
)

// Server serves metrics until it is closed. A scraper that is slow holds up nothing but its own request.
type Server struct {
	all      *collectors
	listener net.Listener
	http     http.Server
	ended    chan error
	closing  sync.Once
	closed   error
}

// Listen opens the endpoint at an address with a port. Metrics of gizmo's own process are there at once.
func Listen(address string) (*Server, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("open the endpoint for metrics: %w", err)
	}
	s := &Server{all: new(collectors), listener: listener, ended: make(chan error, 1)}
	registry := prometheus.NewRegistry()
	err = errors.Join(
		registry.Register(s.all), registry.Register(standard.NewGoCollector()),
		registry.Register(standard.NewProcessCollector(standard.ProcessCollectorOpts{})))
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	mux := http.NewServeMux()
	mux.Handle(Path, promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		// One metric that cannot be shown does not keep the others from the scraper.
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxRequests,
	}))
	s.http = http.Server{Handler: mux, ReadHeaderTimeout: headTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout}
	go func() { s.ended <- s.http.Serve(listener) }()
	return s, nil
}

// Addr is where the endpoint is.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Add implements [metrics.Exporter]. The scope is the label otel_scope_name.
func (s *Server) Add(scope string, r metrics.Reader) (remove func()) {
	c := newCollector(scope, r)
	s.all.add(c)
	return func() {
		s.all.remove(c)
		c.end()
	}
}

// Close ends the endpoint. Scrapers that are being served have a second. A further call returns what the first one has.
func (s *Server) Close() error {
	s.closing.Do(func() { s.closed = s.end() })
	return s.closed
}

func (s *Server) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	if served := <-s.ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
