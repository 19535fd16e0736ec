// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/sink/metrics"
)

// receiver plays one over gRPC or HTTP.
type receiver struct {
	address string
	// grpc and http answer the request n, from 1 on. They may be nil, which takes all.
	grpc func(ctx context.Context, n int) ([]byte, error)
	http func(w http.ResponseWriter, r *http.Request, n int) (done bool)

	conns atomic.Int64 // that are open

	mu      sync.Mutex
	asked   []time.Time
	took    [][]byte
	headers []http.Header
}

func (r *receiver) begin() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, time.Now())
	return len(r.asked)
}

func (r *receiver) take(request []byte, header http.Header) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took, r.headers = append(r.took, request), append(r.headers, header)
}

func (r *receiver) taken() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.took)
}

// countingListener counts the connections that are open.
type countingListener struct {
	net.Listener
	conns *atomic.Int64
}

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.conns.Add(1)
	return &countedConn{Conn: conn, closed: sync.OnceFunc(func() { l.conns.Add(-1) })}, nil
}

type countedConn struct {
	net.Conn
	closed func()
}

func (c *countedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}

// bytesCodec leaves messages as they are.
type bytesCodec struct{}

func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}
func (bytesCodec) Name() string { return "proto" }

// serve starts the receiver at its address, or a new one.
func (r *receiver) serve(t testing.TB, protocol string, secure *tls.Config) {
	t.Helper()
	if secure != nil {
		secure = secure.Clone() // a server changes its own
	}
	if r.address == "" {
		r.address = "127.0.0.1:0"
	}
	plain, err := net.Listen("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	r.address = plain.Addr().String()
	l := countingListener{plain, &r.conns}
	if protocol == HTTP {
		r.serveHTTP(t, l, secure)
		return
	}
	options := []grpc.ServerOption{grpc.ForceServerCodecV2(bytesCodec{})}
	if secure != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(secure)))
	}
	server := grpc.NewServer(options...)
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "opentelemetry.proto.collector.metrics.v1.MetricsService", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Export", Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			return r.export(ctx, decode)
		}}},
	}, nil)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
}

func (r *receiver) export(ctx context.Context, decode func(any) error) (any, error) {
	n := r.begin()
	var request, answer []byte
	if err := decode(&request); err != nil {
		return nil, err
	}
	if r.grpc != nil {
		var err error
		if answer, err = r.grpc(ctx, n); err != nil {
			return nil, err
		}
	}
	header := http.Header{}
	incoming, _ := metadata.FromIncomingContext(ctx)
	for key, values := range incoming {
		header[http.CanonicalHeaderKey(key)] = values
	}
	r.take(request, header)
	return &answer, nil
}

func (r *receiver) serveHTTP(t testing.TB, l net.Listener, secure *tls.Config) {
	server := &http.Server{TLSConfig: secure, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		n := r.begin()
		if q.Method != http.MethodPost || q.URL.Path != "/v1/metrics" || q.Header.Get("Content-Type") != protobuf {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if r.http != nil && r.http(w, q, n) {
			return
		}
		var body io.Reader = q.Body
		if q.Header.Get("Content-Encoding") == "gzip" {
			body, _ = gzip.NewReader(q.Body)
		}
		request, err := io.ReadAll(body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.take(request, q.Header)
		w.Header().Set("Content-Type", protobuf)
	})}
	go func() {
		if secure != nil {
			_ = server.ServeTLS(l, "", "")
			return
		}
		_ = server.Serve(l)
	}()
	t.Cleanup(func() { _ = server.Close() })
}

// config returns one for the receiver.
func (r *receiver) config(protocol string) Config {
	return Config{Exporter: protocol, Endpoint: r.address, Insecure: true, Interval: leastInterval, Timeout: 5 * time.Second, Version: "v1"}
}

func start(t testing.TB, c Config, scope string, reader metrics.Reader) (*Exporter, *logged) {
	t.Helper()
	log := new(logged)
	e, err := New(c, log.logger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close(t.Context()) })
	e.Add(scope, reader)
	e.Start()
	return e, log
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 seconds: %s", what)
		}
	}
}

func eachProtocol(t *testing.T, test func(t *testing.T, protocol string)) {
	for _, protocol := range []string{GRPC, HTTP} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			test(t, protocol)
		})
	}
}

// certificates are files with a certificate for 127.0.0.1 and box.example that signs itself, and its key.
type certificates struct {
	cert, key string
	pair      tls.Certificate
	pool      *x509.CertPool
}

func newCertificates(t testing.TB) *certificates {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "box"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames: []string{"box.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c := &certificates{cert: filepath.Join(t.TempDir(), "cert.pem"), key: filepath.Join(t.TempDir(), "key.pem"), pool: x509.NewCertPool()}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	for path, text := range map[string][]byte{c.cert: certPEM, c.key: keyPEM} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if c.pair, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	c.pool.AppendCertsFromPEM(certPEM)
	return c
}

// Values arrive over each protocol, encrypted or not, compressed or not, with the user's headers.
func TestArrives(t *testing.T) {
	t.Parallel()
	certs := newCertificates(t)
	secure := &tls.Config{Certificates: []tls.Certificate{certs.pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: certs.pool, NextProtos: []string{"h2", "http/1.1"}}
	for _, isSecure := range []bool{false, true} {
		for _, compress := range []bool{false, true} {
			t.Run(fmt.Sprintf("TLS %v, gzip %v", isSecure, compress), func(t *testing.T) {
				eachProtocol(t, func(t *testing.T, protocol string) {
					r := new(receiver)
					if isSecure {
						r.serve(t, protocol, secure)
					} else {
						r.serve(t, protocol, nil)
					}
					c := r.config(protocol)
					c.Gzip, c.Headers = compress, map[string]string{"x-scope": "7"}
					if isSecure {
						c.Insecure, c.CA, c.Cert, c.Key, c.ServerName = false, certs.cert, certs.cert, certs.key, "box.example"
					}
					testArrives(t, r, c)
				})
			})
		}
	}
}

func testArrives(t *testing.T, r *receiver, c Config) {
	sink := newSink(t, metrics.Options{})
	write(t, sink, row{comm: "cat", sent: 3})
	e, log := start(t, c, "m", sink)
	eventually(t, "three pushes", func() bool { return r.taken() >= 3 })
	if err := e.Close(t.Context()); err != nil {
		t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, request := range r.took {
		if got := describe(read(t, request)); len(got) != 6 || got[4] != "m/sent.bytes sum CUMULATIVE monotonic=true {proc.comm=cat,pid=0} int 3" {
			t.Fatalf("request %d: %q", i, got)
		}
	}
	if h := r.headers[0]; h.Get("X-Scope") != "7" || h.Get("User-Agent") != "gizmo/v1" {
		t.Errorf("headers %v", h)
	}
	log.check(t)
	if got := e.Counts(); got.Pushes != uint64(len(r.took)) || got.Points != 6*got.Pushes || got.Failed != 0 {
		t.Errorf("%d requests, counts %+v", len(r.took), got)
	}
}

// A certificate that is not the right one is an error, and nothing is sent.
func TestWrongCertificate(t *testing.T) {
	t.Parallel()
	certs, others := newCertificates(t), newCertificates(t)
	eachProtocol(t, func(t *testing.T, protocol string) {
		r := new(receiver)
		r.serve(t, protocol, &tls.Config{Certificates: []tls.Certificate{certs.pair}})
		for what, change := range map[string]func(*Config){
			"certificate signed by unknown authority":   func(c *Config) { c.CA = others.cert },
			"not other.example":                         func(c *Config) { c.CA, c.ServerName = certs.cert, "other.example" },
			"certificate signed by unknown authority (": func(*Config) {},
		} {
			c := r.config(protocol)
			c.Insecure = false
			change(&c)
			e, err := New(c, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, refused := e.sender.send(t.Context(), nil)
			if refused == nil || !refused.again || !strings.Contains(refused.Error(), strings.TrimSuffix(what, " (")) || r.taken() > 0 {
				t.Errorf("got %v, want %s; %d requests", refused, what, r.taken())
			}
			if err := e.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// A receiver that is down at first gets the values when it has come up.
func TestComesUp(t *testing.T) {
	t.Parallel()
	eachProtocol(t, func(t *testing.T, protocol string) {
		r := new(receiver)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		r.address = l.Addr().String()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		sink := newSink(t, metrics.Options{})
		write(t, sink, row{sent: 3})
		e, log := start(t, r.config(protocol), "m", sink)
		eventually(t, "a failure", func() bool { return e.Counts().Failed > 0 })
		r.serve(t, protocol, nil)
		eventually(t, "a push", func() bool { return r.taken() > 1 })
		log.mu.Lock()
		defer log.mu.Unlock()
		if len(log.lines) != 2 || !strings.Contains(log.lines[0], "connection refused") || !strings.HasPrefix(log.lines[1], `msg="metrics are pushed again" failed=`) {
			t.Errorf("the log has %q", log.lines)
		}
	})
}

// A receiver that hangs costs no goroutine and no connection, and does not delay rows.
func TestHangs(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, protocol := range []string{GRPC, HTTP} {
		t.Run(protocol, func(t *testing.T) {
			kerneltest.Undisturbed(t, func(t *kerneltest.Attempt) {
				release := make(chan struct{})
				r := &receiver{
					grpc: func(ctx context.Context, _ int) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() },
					http: func(_ http.ResponseWriter, q *http.Request, _ int) bool {
						_, _ = io.Copy(io.Discard, q.Body) // from here on the server sees that a client goes away
						select {
						case <-q.Context().Done():
						case <-release:
						}
						return true
					},
				}
				defer close(release)
				r.serve(t, protocol, nil)
				c := r.config(protocol)
				c.Timeout = 100 * time.Millisecond
				sink := newSink(t, metrics.Options{})
				e, _ := start(t, c, "m", sink)
				var slowest time.Duration
				for e.Counts().Failed < 2 {
					began := time.Now()
					write(t, sink, row{sent: 1})
					slowest = max(slowest, time.Since(began))
					time.Sleep(time.Millisecond)
				}
				t.Within(slowest, 90*time.Millisecond)
				eventually(t, "one connection at most", func() bool { return r.conns.Load() <= 1 })
				began := time.Now()
				if err := e.Close(t.Context()); err == nil || time.Since(began) > 2*time.Second {
					t.Errorf("closed after %v: %v", time.Since(began), err)
				}
				eventually(t, "no connection", func() bool { return r.conns.Load() == 0 })
			})
		})
	}
	eventually(t, "no goroutine", func() bool { return runtime.NumGoroutine() <= before })
}

// Nothing is left of an exporter that was closed, and it connects once.
func TestNothingIsLeft(t *testing.T) {
	for _, protocol := range []string{GRPC, HTTP} {
		r := new(receiver)
		r.serve(t, protocol, nil)
		during := runtime.NumGoroutine()
		sink := newSink(t, metrics.Options{})
		write(t, sink, row{sent: 3})
		e, _ := start(t, r.config(protocol), "m", sink)
		eventually(t, "pushes", func() bool { return r.taken() >= 5 })
		if n := r.conns.Load(); n != 1 {
			t.Errorf("%s: %d connections", protocol, n)
		}
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
		eventually(t, "no connection", func() bool { return r.conns.Load() == 0 })
		eventually(t, "no goroutine", func() bool { return runtime.NumGoroutine() <= during })
	}
}

// What receivers answer, and what an exporter makes of it.
func TestAnswers(t *testing.T) {
	t.Parallel()
	withDelay := func(code codes.Code, delay time.Duration) error {
		s, err := status.New(code, "not now").WithDetails(&errdetails.ErrorInfo{Reason: "x"}, &errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
		if err != nil {
			t.Error(err)
		}
		return s.Err()
	}
	answer := func(status int, header ...string) func(http.ResponseWriter, *http.Request, int) bool {
		return func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "not now")
			return true
		}
	}
	refuse := func(err error) func(context.Context, int) ([]byte, error) {
		return func(context.Context, int) ([]byte, error) { return nil, err }
	}
	for _, tt := range []struct {
		what  string
		grpc  func(context.Context, int) ([]byte, error)
		http  func(http.ResponseWriter, *http.Request, int) bool
		text  string
		again bool
		pause time.Duration
	}{
		{what: "UNAVAILABLE", grpc: refuse(status.Error(codes.Unavailable, "not now")), text: "not now (gRPC status 14)", again: true},
		{what: "UNAVAILABLE, delay", grpc: refuse(withDelay(codes.Unavailable, 1500*time.Millisecond)), text: "not now (gRPC status 14)", again: true, pause: 1500 * time.Millisecond},
		{what: "RESOURCE_EXHAUSTED", grpc: refuse(status.Error(codes.ResourceExhausted, "full")), text: "full (gRPC status 8)"},
		{what: "RESOURCE_EXHAUSTED, delay", grpc: refuse(withDelay(codes.ResourceExhausted, 2*time.Second)), text: "not now (gRPC status 8)", again: true, pause: 2 * time.Second},
		{what: "a year", grpc: refuse(withDelay(codes.Unavailable, 365*24*time.Hour)), text: "not now (gRPC status 14)", again: true, pause: longestPause},
		{what: "UNIMPLEMENTED", grpc: refuse(status.Error(codes.Unimplemented, "what?")), text: "what? (gRPC status 12)"},
		{what: "INVALID_ARGUMENT", grpc: refuse(status.Error(codes.InvalidArgument, "bad")), text: "bad (gRPC status 3)"},
		{what: "429", http: answer(429, "Retry-After", "3"), text: "HTTP status 429: not now", again: true, pause: 3 * time.Second},
		{what: "503", http: answer(503), text: "HTTP status 503: not now", again: true},
		{what: "502", http: answer(502, "Retry-After", "soon"), text: "HTTP status 502: not now", again: true},
		{what: "504", http: answer(504, "Retry-After", "999999999999"), text: "HTTP status 504: not now", again: true},
		{what: "a day", http: answer(503, "Retry-After", "86400"), text: "HTTP status 503: not now", again: true, pause: longestPause},
		{what: "500", http: answer(500, "Retry-After", "3"), text: "HTTP status 500: not now"},
		{what: "400", http: answer(400), text: "HTTP status 400: not now"},
		{what: "redirect", http: answer(307, "Location", "http://127.0.0.1:1/"), text: "HTTP status 307: not now"},
		{what: "page", http: answer(200, "Content-Type", "text/html"), text: "the answer is a web page, not one of OpenTelemetry"},
		{what: "other", http: answer(200, "Content-Type", "text/plain")},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			r, protocol := &receiver{grpc: tt.grpc, http: tt.http}, GRPC
			if tt.http != nil {
				protocol = HTTP
			}
			r.serve(t, protocol, nil)
			e, err := New(r.config(protocol), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close(t.Context())
			_, refused := e.sender.send(t.Context(), nil)
			switch {
			case tt.text == "" && refused != nil:
				t.Errorf("got %v", refused)
			case tt.text != "" && (refused == nil || !strings.HasSuffix(refused.Error(), r.address+": "+tt.text) && !strings.HasSuffix(refused.Error(), "/v1/metrics: "+tt.text)):
				t.Errorf("got %v, want %s", refused, tt.text)
			case refused != nil && (refused.again != tt.again || refused.pause != tt.pause):
				t.Errorf("again %v after %v, want %v after %v", refused.again, refused.pause, tt.again, tt.pause)
			}
		})
	}
}

// A receiver that takes a part says so over both protocols, also if requests, and so its answers, are compressed.
func TestPartialAnswers(t *testing.T) {
	t.Parallel()
	eachProtocol(t, func(t *testing.T, protocol string) { testPartialAnswers(t, protocol, false) })
	eachProtocol(t, func(t *testing.T, protocol string) { testPartialAnswers(t, protocol, true) })
}

func testPartialAnswers(t *testing.T, protocol string, compress bool) {
	r := &receiver{
		grpc: func(context.Context, int) ([]byte, error) { return partly(4, "too old"), nil },
		http: func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.Header().Set("Content-Type", protobuf)
			_, _ = w.Write(partly(4, "too old"))
			return true
		},
	}
	r.serve(t, protocol, nil)
	sink := newSink(t, metrics.Options{})
	write(t, sink, row{})
	c := r.config(protocol)
	c.Gzip = compress
	e, log := start(t, c, "m", sink)
	eventually(t, "pushes", func() bool { return e.Counts().Pushes >= 3 })
	if got := e.Counts(); got.Rejected < 12 || got.Failed != 0 {
		t.Errorf("counts %+v", got)
	}
	log.check(t, `msg="the receiver of metrics does not take all of them" rejected=4 reason="too old"`)
}

func TestRetryAfterDate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):       0,
		now.Add(48 * time.Hour).Format(http.TimeFormat):   longestPause,
		"": 0, "-1": 0, "1.5": 0, strconv.Itoa(1<<31 - 1): longestPause,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// What receivers answer may be any bytes.
func FuzzAnswers(f *testing.F) {
	f.Add(partly(1, "why"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rejected, _ := partialSuccess(data)
		if delay, says := retryDelay(data); int64(rejected) < 0 || delay < 0 || delay > longestPause || !says && delay != 0 {
			t.Errorf("%d rejected, delay %v, %v", rejected, delay, says)
		}
	})
}

// forward serves connections to an address. The ones that are open when freeze is called stay open, and nothing comes through any more.
func forward(t testing.TB, to string) (address string, freeze func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var far []net.Conn
	frozen := make(map[net.Conn]bool)
	copyTo := func(dst, src, key net.Conn) {
		buffer := make([]byte, 64<<10)
		for {
			n, err := src.Read(buffer)
			mu.Lock()
			isFrozen := frozen[key]
			mu.Unlock()
			if err != nil {
				return
			}
			if !isFrozen {
				_, _ = dst.Write(buffer[:n])
			}
		}
	}
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			other, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			mu.Lock()
			far = append(far, other, near)
			mu.Unlock()
			go copyTo(other, near, other)
			go copyTo(near, other, other)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range far {
			_ = conn.Close()
		}
	})
	return l.Addr().String(), func() {
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range far {
			frozen[conn] = true
		}
	}
}

// A connection that looks open, and through which nothing comes any more, is given up after one push.
func TestDeadConnection(t *testing.T) {
	t.Parallel()
	certs := newCertificates(t)
	eachProtocol(t, func(t *testing.T, protocol string) {
		r := new(receiver)
		r.serve(t, protocol, nil)
		testDeadConnection(t, r, r.config(protocol))
		r = new(receiver)
		r.serve(t, protocol, &tls.Config{Certificates: []tls.Certificate{certs.pair}, NextProtos: []string{"h2"}})
		c := r.config(protocol)
		c.Insecure, c.CA = false, certs.cert
		testDeadConnection(t, r, c)
	})
}

func testDeadConnection(t *testing.T, r *receiver, c Config) {
	address, freeze := forward(t, r.address)
	c.Endpoint, c.Timeout = address, time.Second
	sink := newSink(t, metrics.Options{})
	write(t, sink, row{sent: 3})
	e, _ := start(t, c, "m", sink)
	eventually(t, "a push", func() bool { return r.taken() > 0 })
	freeze()
	eventually(t, "a failure", func() bool { return e.Counts().Failed > 0 })
	taken := r.taken()
	eventually(t, "a push over a new connection", func() bool { return r.taken() > taken })
	if n := e.Counts().Failed; n != 1 {
		t.Errorf("%d failures", n)
	}
}
