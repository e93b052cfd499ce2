// Go's httputil.ReverseProxy in front of one or more backends, at its best: connections are kept, buffers are pooled,
// nothing is logged.
package main

import (
	"flag"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) Get() []byte { return *b.pool.Get().(*[]byte) }

func (b *bufferPool) Put(buffer []byte) { b.pool.Put(&buffer) }

func main() {
	port := flag.String("port", "", "where clients connect, on 127.0.0.1")
	backends := flag.String("backends", "", "ports on 127.0.0.1, separated by commas")
	cert := flag.String("cert", "", "speak TLS with this certificate")
	key := flag.String("key", "", "and this key")
	flag.Parse()

	var hosts []string
	for _, backend := range strings.Split(*backends, ",") {
		hosts = append(hosts, "127.0.0.1:"+backend)
	}
	var turn uint64
	proxy := &httputil.ReverseProxy{
		Director: func(request *http.Request) {
			request.URL.Scheme = "http"
			request.URL.Host = hosts[atomic.AddUint64(&turn, 1)%uint64(len(hosts))]
		},
		Transport: &http.Transport{
			MaxIdleConns:        0,
			MaxIdleConnsPerHost: 1024,
			IdleConnTimeout:     5 * time.Minute,
			DisableCompression:  true,
		},
		// Clients that leave at the end of a round are no errors.
		ErrorLog: log.New(io.Discard, "", 0),
		BufferPool: &bufferPool{pool: sync.Pool{New: func() any {
			buffer := make([]byte, 32*1024)
			return &buffer
		}}},
	}
	server := &http.Server{Addr: "127.0.0.1:" + *port, Handler: proxy, ErrorLog: log.New(io.Discard, "", 0)}
	if *cert == "" {
		log.Fatal(server.ListenAndServe())
	}
	log.Fatal(server.ListenAndServeTLS(*cert, *key))
}
