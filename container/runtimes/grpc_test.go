// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gizmo-ebpf/gizmo/container/containertest"
)

// grpcServer is a server of google.golang.org/grpc at a Unix socket that can be restarted.
type grpcServer struct {
	socket   string
	played   *containertest.Played
	register func(*grpc.Server)

	mu     sync.Mutex
	server *grpc.Server
}

// serveGRPC serves until the test ends. Each call waits while the runtime hangs.
func serveGRPC(t testing.TB, played *containertest.Played, register func(*grpc.Server)) *grpcServer {
	t.Helper()
	s := &grpcServer{socket: filepath.Join(containertest.Folder(t), "socket"), played: played, register: register}
	s.start(t)
	t.Cleanup(s.stop)
	return s
}

func (s *grpcServer) start(t testing.TB) {
	t.Helper()
	l, err := net.Listen("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(
		grpc.UnaryInterceptor(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, answer grpc.UnaryHandler) (any, error) {
			s.played.Wait(ctx)
			return answer(ctx, request)
		}),
		grpc.StreamInterceptor(func(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, answer grpc.StreamHandler) error {
			s.played.Wait(stream.Context())
			return answer(service, stream)
		}),
	)
	s.register(server)
	s.mu.Lock()
	s.server = server
	s.mu.Unlock()
	go func() { _ = server.Serve(l) }()
}

func (s *grpcServer) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server.Stop()
}

func (s *grpcServer) restart(t testing.TB) func() {
	return func() {
		s.stop()
		s.start(t)
	}
}

// serveHTTP2 answers each call by a handler, which may answer as no gRPC server does.
func serveHTTP2(t testing.TB, handler http.HandlerFunc) (socket string) {
	t.Helper()
	socket = filepath.Join(containertest.Folder(t), "socket")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: handler, Protocols: &protocols}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return socket
}

// answerWith answers with messages and a status.
func answerWith(status int, text string, messages ...[]byte) http.HandlerFunc {
	var body []byte
	for _, message := range messages {
		body = append(body, frame(message)...)
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
		_, _ = w.Write(body)
		w.Header().Set("Grpc-Status", strconv.Itoa(status))
		w.Header().Set("Grpc-Message", text)
	}
}

// frame returns a message as gRPC sends it.
func frame(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// answerLong answers with the head of a message of some length, and then with 100 MB or as much as the client reads.
func answerLong(length uint32) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		_, _ = w.Write(binary.BigEndian.AppendUint32([]byte{0}, length))
		for range 100 {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}
}

// wrongGRPC returns servers that give wrong answers.
func wrongGRPC() map[string]func(testing.TB) string {
	serve := func(handler http.HandlerFunc) func(testing.TB) string {
		return func(t testing.TB) string { return serveHTTP2(t, handler) }
	}
	raw := func(kind string, status int, text string) func(testing.TB) string {
		return serve(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		})
	}
	// A list of 3 million containers or namespaces, the smallest that there are.
	crowd := []byte(strings.Repeat("\x0a\x03\x0a\x01x", maxList/5-1))
	return map[string]func(testing.TB) string{
		"a message of 100 MB":       serve(answerLong(100 << 20)),
		"a message of 4 GB":         serve(answerLong(1<<32 - 1)),
		"half a message":            serve(answerWith(0, "", nil, []byte{})), // see TestGRPCWrongAnswers for exact errors
		"millions of things":        serve(answerWith(0, "", crowd)),
		"no message":                serve(answerWith(0, "")),
		"no protocol buffers":       serve(answerWith(0, "", []byte("\x0a\xff\xff\xff\xff\x0fgarbage"))),
		"a text":                    raw("application/grpc", http.StatusOK, "\x1b[31mhello"),
		"a status and nothing else": serve(answerWith(13, "no%1b[31m"+strings.Repeat("%20no", 3000))),
		"a status that is no number": serve(func(w http.ResponseWriter, r *http.Request) {
			answerWith(0, "")(w, r)
			w.Header().Set("Grpc-Status", "\x1b")
		}),
		"a web page":                    raw("text/html", http.StatusOK, "<html>"),
		"an HTTP error":                 raw("application/grpc", http.StatusForbidden, ""),
		"a header of 1 MB":              serve(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Long", strings.Repeat("x", 1<<20)) }),
		"a compressed message":          raw("application/grpc", http.StatusOK, "\x01\x00\x00\x00\x01x"),
		"a message that ends too early": raw("application/grpc", http.StatusOK, "\x00\x00\x00\x00\x09x"),
		"a head that ends too early":    raw("application/grpc", http.StatusOK, "\x00\x00"),
		"an unknown service": func(t testing.TB) string {
			return serveGRPC(t, containertest.NewPlayed(""), func(*grpc.Server) {}).socket
		},
	}
}

// askOnce makes a call and returns how it ends.
func askOnce(t *testing.T, handler http.HandlerFunc) ([]byte, error) {
	t.Helper()
	c := newGRPCClient(serveHTTP2(t, handler))
	defer c.Close()
	return c.call(within(t), method{name: "a.Service/Method"}, []byte("question"), 100)
}

func TestGRPCErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what    string
		handler http.HandlerFunc
		want    string
	}{
		{"status", answerWith(5, "no such thing: %25 %e2%82%ac"), "no such thing: % € (gRPC status 5)"},
		{"status with a broken text", answerWith(5, "100%"), "100% (gRPC status 5)"},
		{"status after a message", answerWith(13, "too late", []byte("answer")), "too late (gRPC status 13)"},
		{"no message", answerWith(0, ""), "no answer"},
		{"two messages", answerWith(0, "", []byte("one"), []byte("two")), "two answers to one request"},
		{"long message", answerWith(0, "", make([]byte, 101)), "an answer of 101 bytes, more than 100"},
		{"no status", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			_, _ = w.Write(frame([]byte("answer")))
		}, "the answer ends without a status"},
		{"web page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>")
		}, `not a gRPC server: HTTP status 200, content type "text/html"`},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			_, err := askOnce(t, c.handler)
			if err == nil || !strings.HasSuffix(err.Error(), "/socket: "+c.want) {
				t.Errorf("got %v, want %q behind the socket", err, c.want)
			}
		})
	}
}

// A call sends the header and the frame that gRPC prescribes, and accepts an answer of exactly the largest size.
func TestGRPCCall(t *testing.T) {
	t.Parallel()
	var got string
	answer, err := askOnce(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = strings.Join([]string{r.Method, r.URL.Path, r.Header.Get("Te"), r.Header.Get("Content-Type"), string(body)}, " ")
		answerWith(0, "", []byte(strings.Repeat("x", 100)))(w, r)
	})
	if err != nil || string(answer) != strings.Repeat("x", 100) {
		t.Errorf("got %q, %v", answer, err)
	}
	if want := "POST /a.Service/Method trailers application/grpc \x00\x00\x00\x00\x08question"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
}

func TestGRPCStatus(t *testing.T) {
	t.Parallel()
	s := serveGRPC(t, containertest.NewPlayed(""), func(s *grpc.Server) {
		s.RegisterService(&grpc.ServiceDesc{ServiceName: "a.Service", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
			MethodName: "Find",
			Handler: func(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
				return nil, status.Error(codes.NotFound, "what is \x1b[31m?")
			},
		}}}, nil)
	})
	c := newGRPCClient(s.socket)
	defer c.Close()
	_, err := c.call(within(t), method{name: "a.Service/Find"}, nil, 100)
	if !hasCode(err, codeNotFound) || errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), `what is \x1b[31m?`) {
		t.Errorf("got %v", err)
	}
	_, err = c.call(within(t), method{name: "a.Service/Other"}, nil, 100)
	if !hasCode(err, int(codes.Unimplemented)) || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}

// A client connects at the first call, and makes all calls over one connection.
func TestGRPCConnects(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	count := 0
	socket := serveHTTP2(t, answerWith(0, "", nil))
	inner := &net.Dialer{}
	between := containertest.Serve(t, func(conn net.Conn) {
		mu.Lock()
		count++
		mu.Unlock()
		to, err := inner.Dial("unix", socket)
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(conn, to); _ = conn.Close() }()
		_, _ = io.Copy(to, conn)
		_ = to.Close()
	})
	connections := func() int {
		mu.Lock()
		defer mu.Unlock()
		return count
	}
	c := newGRPCClient(between)
	defer c.Close()
	time.Sleep(10 * time.Millisecond)
	if connections() != 0 {
		t.Errorf("%d connections before the first call", connections())
	}
	for range 3 {
		if _, err := c.call(within(t), method{name: "a.Service/Method"}, nil, 100); err != nil {
			t.Fatal(err)
		}
	}
	if connections() != 1 {
		t.Errorf("%d connections for 3 calls", connections())
	}
}

// Close ends calls that hang, and a closed client does not connect again.
func TestGRPCClose(t *testing.T) {
	t.Parallel()
	c := newGRPCClient(containertest.Serve(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }))
	done := make(chan error)
	go func() {
		_, err := c.call(within(t), method{name: "a.Service/Method"}, nil, 100)
		done <- err
	}()
	time.Sleep(10 * time.Millisecond)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the call ended with %v", err)
	}
	if _, err := c.call(within(t), method{name: "a.Service/Method"}, nil, 100); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a call after Close: %v", err)
	}
}
