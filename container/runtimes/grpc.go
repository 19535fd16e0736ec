// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"context"
	"errors"
	"net"
	"net/http"
	"unicode/utf8"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/internal/grpcclient"
)

// Bounds for what gRPC servers send.
const (
	maxList   = 16 << 20 // of an answer that lists things; as much as containerd and the kubelet take
	maxObject = 4 << 20  // of an answer about one thing; gRPC's own default
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

// grpcClient calls the methods of a runtime at a Unix socket.
type grpcClient struct {
	*grpcclient.Client
	socket string
}

func newGRPCClient(socket string) *grpcClient {
	return &grpcClient{socket: socket, Client: grpcclient.New(grpcclient.Options{
		Name: socket, Address: "localhost",
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	})}
}

// method is a method of a service, and the namespace of containerd for the call; "" for none.
type method struct {
	name      string // "containerd.services.events.v1.Events/Subscribe"
	namespace string
}

func (m method) with(request []byte, limit int) *grpcclient.Call {
	call := &grpcclient.Call{Method: m.name, Request: request, Limit: limit}
	if m.namespace != "" {
		call.Header = http.Header{"Containerd-Namespace": {m.namespace}}
	}
	return call
}

// call calls a method with one answer. An answer of more than limit bytes is an error.
func (c *grpcClient) call(ctx context.Context, m method, request []byte, limit int) ([]byte, error) {
	return c.Unary(ctx, m.with(request, limit))
}

// open calls a method and returns when the server begins to answer.
func (c *grpcClient) open(ctx context.Context, m method, request []byte, limit int) (*grpcclient.Stream, error) {
	return c.Open(ctx, m.with(request, limit))
}

// codeNotFound is the code of gRPC that gizmo tells apart.
const codeNotFound = 5

// isRefused reports whether a server has refused a call; it may answer others.
func isRefused(err error) bool {
	var status *grpcclient.StatusError
	return errors.As(err, &status)
}

// hasCode reports whether a server refused a call with this code.
func hasCode(err error, code int) bool {
	var status *grpcclient.StatusError
	return errors.As(err, &status) && status.Code == code
}
