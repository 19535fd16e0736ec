// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

// The protocols.
const (
	GRPC = "otlp-grpc"
	HTTP = "otlp-http"
)

// The temporalities.
const (
	Cumulative = "cumulative" // values since the beginning
	Delta      = "delta"      // values since the last push
)

const (
	defaultInterval = time.Minute
	leastInterval   = 100 * time.Millisecond
	defaultTimeout  = 10 * time.Second
	defaultPath     = "/v1/metrics"
	maxCertificate  = 1 << 20
)

// Config says where metrics are pushed, and how. The zero value of a field is its default.
type Config struct {
	// Name is the exporter's, for messages.
	Name string
	// Exporter is the protocol: GRPC or HTTP.
	Exporter string
	// Endpoint is the receiver: HOST:PORT, or a URL, whose scheme then says whether the connection is encrypted. For HTTP the URL may have a
	// path; otherwise that is /v1/metrics.
	Endpoint string
	// Insecure is for a receiver that does not encrypt.
	Insecure bool
	// CA is a file with the certificates that the receiver's has to be signed by; "": those of this machine.
	CA string
	// Cert and Key are files with the certificate that the receiver gets, and its private key.
	Cert, Key string
	// ServerName is the name in the receiver's certificate; "": the host of the endpoint.
	ServerName string
	// Headers are sent with each request.
	Headers map[string]string
	// Gzip compresses requests.
	Gzip bool
	// Temporality is Cumulative, the default, or Delta.
	Temporality string
	// Interval is the time between pushes; 0: a minute.
	Interval time.Duration
	// Timeout is how long a request may take; 0: 10 seconds.
	Timeout time.Duration
	// Resource has attributes of the process beside service.name, service.version and host.name, or in their place.
	Resource map[string]string
	// Version is the service.version.
	Version string
	// GoMetrics adds metrics of the Go runtime.
	GoMetrics bool
	// OwnMetrics asks the caller of New to add gizmo's own metrics. The package does nothing with it.
	OwnMetrics bool
}

// target is where requests go.
type target struct {
	secure  bool
	address string // HOST:PORT
	path    string // of HTTP
}

func (t *target) url() string {
	u := url.URL{Scheme: "http", Host: t.address, Path: t.path}
	if t.secure {
		u.Scheme = "https"
	}
	return u.String()
}

// problem is what is wrong with a setting. The setting has the name that it has in a file.
type problem struct {
	setting string
	err     error
}

// check fills in the defaults and returns what is wrong. It reads no file.
func (c *Config) check() (to *target, problems []problem) {
	c.Temporality = cmp.Or(c.Temporality, Cumulative)
	c.Interval = cmp.Or(c.Interval, defaultInterval)
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	wrong := func(setting, format string, args ...any) {
		problems = append(problems, problem{setting, fmt.Errorf(format, args...)})
	}
	switch c.Exporter {
	case "":
		wrong("exporter", "there is no exporter: want %s or %s", GRPC, HTTP)
	case GRPC, HTTP:
	default:
		wrong("exporter", "exporter %q: want %s or %s", c.Exporter, GRPC, HTTP)
	}
	if c.Temporality != Cumulative && c.Temporality != Delta {
		wrong("temporality", "temporality %q: want %s or %s", c.Temporality, Cumulative, Delta)
	}
	if c.Interval < leastInterval {
		wrong("interval", "interval %v: want at least %v", c.Interval, leastInterval)
	}
	if c.Timeout <= 0 {
		wrong("timeout", "timeout %v: want more than 0", c.Timeout)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		if err := checkHeader(name, c.Headers[name]); err != nil {
			problems = append(problems, problem{"headers", err})
		}
	}
	to, err := c.target()
	if err != nil {
		problems = append(problems, problem{"endpoint", err})
	} else if p := c.checkFiles(to); p.err != nil {
		problems = append(problems, p)
	}
	return to, problems
}

// target reads the endpoint.
func (c *Config) target() (*target, error) {
	if c.Endpoint == "" {
		return nil, errors.New("there is no endpoint")
	}
	fail := func(format string, args ...any) (*target, error) {
		return nil, fmt.Errorf("endpoint %q: "+format, append([]any{c.Endpoint}, args...)...)
	}
	if !strings.Contains(c.Endpoint, "://") {
		host, port, err := net.SplitHostPort(c.Endpoint)
		if n, _ := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" || strings.ContainsAny(host, "/@?# ") {
			return fail("want HOST:PORT")
		}
		return &target{secure: !c.Insecure, address: c.Endpoint, path: defaultPath}, nil
	}
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return fail("want HOST:PORT, http://HOST:PORT or https://HOST:PORT")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("endpoint %q: a URL with a user, a query or a fragment; credentials go into headers", u.Redacted())
	case u.Scheme == "https" && c.Insecure:
		return fail("https is encrypted, and insecure says that it is not")
	case c.Exporter == GRPC && strings.Trim(u.Path, "/") != "":
		return fail("gRPC has no path")
	}
	to := &target{secure: u.Scheme == "https", address: u.Host, path: u.Path}
	if u.Port() == "" {
		to.address = net.JoinHostPort(u.Hostname(), map[bool]string{false: "80", true: "443"}[to.secure])
	}
	if strings.Trim(u.Path, "/") == "" {
		to.path = defaultPath
	}
	return to, nil
}

// checkFiles finds settings of certificates that contradict others.
func (c *Config) checkFiles(to *target) problem {
	for _, f := range []struct{ setting, value string }{{"ca", c.CA}, {"cert", c.Cert}, {"key", c.Key}, {"servername", c.ServerName}} {
		if f.value != "" && !to.secure {
			return problem{f.setting, fmt.Errorf("%s has no use: the connection is not encrypted", f.setting)}
		}
	}
	switch {
	case c.Cert == "" && c.Key != "":
		return problem{"key", errors.New("key without cert")}
	case c.Cert != "" && c.Key == "":
		return problem{"cert", errors.New("cert without key")}
	}
	return problem{}
}

func checkHeader(name, value string) error {
	switch lower := strings.ToLower(name); {
	case !httpguts.ValidHeaderFieldName(name):
		return fmt.Errorf("header %q: no name that a header may have", name)
	case !httpguts.ValidHeaderFieldValue(value):
		return fmt.Errorf("header %q: a value with characters that a header must not have", name)
	case strings.HasPrefix(lower, "grpc-") || strings.HasSuffix(lower, "-bin"):
		return fmt.Errorf("header %q: names of gRPC's own and binary headers cannot be set", name)
	}
	for _, own := range []string{"connection", "content-encoding", "content-length", "content-type", "host", "te", "transfer-encoding"} {
		if strings.EqualFold(name, own) {
			return fmt.Errorf("header %q: gizmo sets it", name)
		}
	}
	return nil
}

// tls reads the certificates; nil if the connection is not encrypted.
func (c *Config) tls(to *target) (*tls.Config, error) {
	if !to.secure {
		return nil, nil
	}
	host, _, _ := net.SplitHostPort(to.address)
	settings := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cmp.Or(c.ServerName, host)}
	if c.CA != "" {
		pem, err := safefile.Read(c.CA, "a file of certificates", maxCertificate)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: %s has no certificate in PEM", c.CA)
		}
	}
	if c.Cert == "" {
		return settings, nil
	}
	cert, err := safefile.Read(c.Cert, "a certificate", maxCertificate)
	if err != nil {
		return nil, fmt.Errorf("cert: %w", err)
	}
	key, err := safefile.Read(c.Key, "a key", maxCertificate)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("cert %s and key %s: %w", c.Cert, c.Key, err)
	}
	settings.Certificates = []tls.Certificate{pair}
	return settings, nil
}
