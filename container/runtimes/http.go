// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

// Limits for the answers of HTTP servers.
const (
	maxListing    = 16 << 20 // of a list; that of 10,000 containers of Docker is as large
	maxAnswer     = 4 << 20  // of an answer about one thing, of an event, and of each element of a list
	maxListed     = 1 << 16  // elements
	maxHTTPHeader = 16 << 10
)

// maxIdle is how many connections stay open for the next call: as many as one call uses.
const maxIdle = 8

// httpClient asks an HTTP server at a Unix socket. Each call connects if it has to.
type httpClient struct {
	socket string
	http   http.Client
}

func newHTTPClient(socket string) *httpClient {
	return &httpClient{socket, http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", socket)
			},
			DisableCompression:     true, // a compressed megabyte may become a gigabyte
			MaxResponseHeaderBytes: maxHTTPHeader,
			MaxIdleConnsPerHost:    maxIdle,
			IdleConnTimeout:        5 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes the connections that no call uses.
func (c *httpClient) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// httpError is an answer other than 200.
type httpError struct {
	status  int
	message string // what the server says
}

func (e *httpError) Error() string {
	return fmt.Sprintf("HTTP status %d%s", e.status, e.message)
}

// isHTTPError reports whether a server has refused to answer one question, and may answer others.
func isHTTPError(err error) bool {
	var status *httpError
	return errors.As(err, &status)
}

// isNotFound reports whether a server has answered that it does not have the object.
func isNotFound(err error) bool {
	var status *httpError
	return errors.As(err, &status) && status.status == http.StatusNotFound
}

// get asks for a path about one object and reads the answer.
func (c *httpClient) get(ctx context.Context, path string, answer any) error {
	return c.ask(ctx, path, nil, maxAnswer, func(in *answerReader) error { return in.next(answer) })
}

// ask asks for a path and calls read with the answer, of at most limit bytes.
func (c *httpClient) ask(ctx context.Context, path string, query url.Values, limit int, read func(*answerReader) error) error {
	body, err := c.open(ctx, path, query)
	if err != nil {
		return err
	}
	defer body.Close()
	body.total = limit
	if err := read(newAnswerReader(body)); err != nil {
		return c.explain(ctx, err)
	}
	_, _ = io.Copy(io.Discard, body) // so that the connection can be used again
	return nil
}

// open asks for a path and returns the body of the answer, which the caller closes.
func (c *httpClient) open(ctx context.Context, path string, query url.Values) (*boundedBody, error) {
	// The server accepts any host name.
	u := url.URL{Scheme: "http", Host: "localhost", Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	body := &boundedBody{answer.Body, maxAnswer, maxAnswer}
	if answer.StatusCode == http.StatusOK {
		return body, nil
	}
	defer body.Close()
	body.total = 64 << 10
	failure := &httpError{status: answer.StatusCode}
	var said struct{ Message string }
	if newAnswerReader(body).next(&said) == nil && said.Message != "" {
		failure.message = ": " + said.Message
	}
	return nil, c.explain(ctx, failure)
}

// errLocked says that the server cannot inspect a container, because it is locked.
var errLocked = errors.New("the container is locked")

// askUnlessLocked calls ask. If the answer is late it calls locked, and returns errLocked if that returns true before the
// answer comes. Both have to return when their context is done.
func askUnlessLocked(ctx context.Context, late time.Duration, ask func(context.Context) error, locked func(context.Context) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answer := make(chan error, 1)
	go func() { answer <- ask(ctx) }()
	timer := time.NewTimer(late)
	defer timer.Stop()
	select {
	case err := <-answer:
		return err
	case <-timer.C:
	}
	if !locked(ctx) {
		return <-answer
	}
	cancel()
	if <-answer == nil {
		return nil // the answer has come in the meantime
	}
	return errLocked
}

// explain adds the socket to an error. If ctx is done, it returns that as the reason instead of the errors that followed from it.
func (c *httpClient) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	var wrapped *url.Error // repeats the path
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var op *net.OpError // repeats the socket
	if errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Errorf("%s: %w", c.socket, plain.Short(err))
}

var (
	errTooLong = errors.New("the answer is too long for gizmo")
	errTooMany = errors.New("too many containers for gizmo")
)

// boundedBody is the body of an answer; reading it fails after a number of bytes.
type boundedBody struct {
	io.ReadCloser
	left  int // of a part of the answer
	total int // of the whole answer
}

func (b *boundedBody) Read(p []byte) (int, error) {
	left := min(b.left, b.total)
	if left <= 0 {
		return 0, errTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), left)])
	b.left -= n
	b.total -= n
	return n, err
}

// answerReader reads JSON values of at most maxAnswer bytes each.
type answerReader struct {
	*json.Decoder
	body *boundedBody
	in   io.Reader
}

func newAnswerReader(body *boundedBody) *answerReader {
	return &answerReader{json.NewDecoder(body), body, body}
}

// next reads a value.
func (r *answerReader) next(value any) error {
	r.body.left = maxAnswer
	return r.Decode(value)
}

// eachIn calls visit for each element of an array.
func eachIn[T any](r *answerReader, visit func(*T)) error {
	switch t, err := r.Token(); {
	case err != nil:
		return err
	case t == nil: // "null" is how some servers write an empty array
		return nil
	case t != json.Delim('['):
		return fmt.Errorf("the answer is not a list but %v", t)
	}
	for count := 0; r.More(); count++ {
		if count == maxListed {
			return errTooMany
		}
		var element T
		if err := r.next(&element); err != nil {
			return err
		}
		visit(&element)
	}
	_, err := r.Token()
	return err
}

// isID reports whether a text can be the full id of a container of Docker or podman. Both servers also accept parts of ids, names and regular
// expressions.
func isID(id string) bool {
	_, err := hex.DecodeString(id)
	return err == nil && len(id) == 64
}

// noSuch is the error for an id that a runtime does not know.
func noSuch(id string) error { return fmt.Errorf("%w: %q", container.ErrUnknown, clip(id)) }

// filters encodes pairs of a key and a value for both servers: for each key one value has to match.
func filters(pairs ...string) string {
	all := make(map[string][]string)
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = append(all[pairs[i]], pairs[i+1])
	}
	text, _ := json.Marshal(all) // strings always have a text
	return string(text)
}

// boundLabels returns the labels of a container, up to the limits.
func boundLabels(all map[string]string) map[string]string {
	var l labels
	for _, key := range slices.Sorted(maps.Keys(all)) { // so that it skips the same labels each time
		l.add(key, all[key])
	}
	return l.known()
}
