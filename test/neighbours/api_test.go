// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"testing"

	"github.com/gizmo-ebpf/gizmo/container/containertest"
)

// api is the HTTP interface of dockerd or podman, with which tests control containers.
type api struct {
	http   http.Client
	prefix string // of paths
}

func newAPI(t testing.TB, socket, prefix string) *api {
	t.Helper()
	a := &api{prefix: prefix}
	a.http.Transport = &http.Transport{
		DisableKeepAlives: true, // the daemon is restarted
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}
	return a
}

// call asks for a path and reads the answer into a value, unless that is nil. It returns the status if there is an answer.
func (a *api) call(method, path string, body []byte, answer any) (status int, err error) {
	request, err := http.NewRequest(method, "http://localhost"+a.prefix+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPost && path == "/images/load" {
		request.Header.Set("Content-Type", "application/x-tar")
	}
	r, err := a.http.Do(request)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: HTTP status %d: %.300s", method, path, r.StatusCode, text)
	}
	if err == nil && answer != nil {
		err = json.Unmarshal(text, answer)
	}
	return r.StatusCode, err
}

// do is call for calls that must succeed.
func (a *api) do(t testing.TB, method, path string, body []byte, answer any) {
	t.Helper()
	if _, err := a.call(method, path, body, answer); err != nil {
		t.Fatal(err)
	}
}

func (a *api) ping() error {
	_, err := a.call("GET", "/_ping", nil, nil)
	return err
}

// neighbour returns the functions that are the same for dockerd and podman.
func (a *api) neighbour(b *bed, socket string) containertest.Neighbour {
	start := func(id string) error {
		_, err := a.call("POST", "/containers/"+id+"/start", nil, nil)
		return err
	}
	return containertest.Neighbour{
		Socket: socket,
		Start: func(t testing.TB, id string) {
			t.Helper()
			if err := start(id); err != nil {
				t.Fatal(err)
			}
		},
		Pause: func(t testing.TB, id string) { a.do(t, "POST", "/containers/"+id+"/pause", nil, nil) },
		End: func(t testing.TB, id string) {
			t.Helper()
			_, _ = a.call("POST", "/containers/"+id+"/unpause", nil, nil)
			a.do(t, "POST", "/containers/"+id+"/kill", nil, nil)
			a.do(t, "POST", "/containers/"+id+"/wait", nil, nil)
		},
		Remove: func(t testing.TB, id string) {
			t.Helper()
			if status, err := a.call("DELETE", "/containers/"+id+"?force=true", nil, nil); err != nil && status != http.StatusNotFound {
				t.Fatal(err)
			}
		},
		Begin: func(t testing.TB, id string) (finish func()) { return b.hold(t, func() error { return start(id) }) },
	}
}

// ask runs a command, which prints JSON.
func ask(t testing.TB, env []string, answer any, args ...string) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(cmd.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, answer)
	}
	if err != nil {
		t.Fatalf("%v: %v: %s%s", args, err, out, stderr.Bytes())
	}
}
