/** Directives that are read where they belong, and those that need no counterpart. All others are told of as left out. */

const READ = `allow deny auth_basic auth_basic_user_file auth_request auth_jwt secure_link valid_referers satisfy
proxy_pass grpc_pass proxy_set_header grpc_set_header proxy_connect_timeout proxy_read_timeout proxy_send_timeout
grpc_connect_timeout grpc_read_timeout grpc_send_timeout proxy_next_upstream proxy_next_upstream_tries proxy_next_upstream_timeout
proxy_ssl_name proxy_ssl_server_name proxy_ssl_trusted_certificate proxy_ssl_certificate proxy_ssl_certificate_key proxy_ssl_verify
proxy_redirect proxy_hide_header add_header return client_max_body_size limit_req limit_req_zone location server upstream listen
server_name ssl_certificate ssl_certificate_key ssl_protocols ssl_client_certificate ssl_verify_client http2 set_real_ip_from
real_ip_header keepalive_timeout client_header_timeout client_body_timeout try_files root alias index access_log internal`;

/** What Fairlead does by itself, has no need of, or what is about nginx’s own way of working. */
const NEEDLESS = `user worker_processes worker_connections worker_rlimit_nofile worker_shutdown_timeout worker_priority worker_cpu_affinity
events pid error_log daemon master_process load_module thread_pool multi_accept use accept_mutex sendfile sendfile_max_chunk
tcp_nopush tcp_nodelay types default_type types_hash_max_size types_hash_bucket_size server_names_hash_bucket_size
server_names_hash_max_size variables_hash_max_size variables_hash_bucket_size map_hash_max_size map_hash_bucket_size
server_tokens keepalive_requests keepalive_time keepalive_disable log_format open_file_cache reset_timedout_connection
proxy_http_version proxy_buffering proxy_buffers proxy_buffer_size proxy_busy_buffers_size proxy_request_buffering
proxy_max_temp_file_size proxy_temp_path proxy_temp_file_write_size proxy_headers_hash_max_size proxy_headers_hash_bucket_size
proxy_socket_keepalive proxy_ssl_session_reuse proxy_ssl_protocols proxy_ssl_ciphers proxy_ssl_verify_depth proxy_pass_request_body
proxy_pass_request_headers client_body_buffer_size client_body_temp_path client_header_buffer_size large_client_header_buffers
client_body_in_file_only client_body_in_single_buffer fastcgi_temp_path uwsgi_temp_path scgi_temp_path
ssl ssl_ciphers ssl_prefer_server_ciphers ssl_session_cache ssl_session_timeout ssl_session_tickets ssl_dhparam ssl_ecdh_curve
ssl_verify_depth ssl_stapling ssl_stapling_verify ssl_trusted_certificate ssl_buffer_size ssl_early_data resolver resolver_timeout
gzip_vary gzip_proxied gzip_comp_level gzip_types gzip_min_length gzip_buffers gzip_http_version gzip_disable gzip_static
charset etag merge_slashes port_in_redirect server_name_in_redirect absolute_redirect log_not_found log_subrequest
ignore_invalid_headers underscores_in_headers http2_max_concurrent_streams limit_req_log_level limit_conn_zone real_ip_recursive
http2_push_preload lingering_close lingering_time lingering_timeout send_timeout postpone_output`;

const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/));

export const READ_DIRECTIVES = words(READ);
export const NEEDLESS_DIRECTIVES = words(NEEDLESS);

/** Why some of the others are left out; for the rest that there is no counterpart. */
export const REASONS: ReadonlyMap<string, string> = new Map([
  ['if', 'conditions are routes of their own here: by host, path, method, header and query'],
  ['rewrite', 'regular expressions are not carried over: see rewrite and redirect of a route'],
  ['map', 'maps are not carried over'],
  ['error_page', 'see error_pages'],
  ['gzip', 'Fairlead does not compress: let the backends do it'],
  ['brotli', 'Fairlead does not compress: let the backends do it'],
  ['proxy_cache', 'Fairlead has no cache'],
  ['proxy_cache_path', 'Fairlead has no cache'],
  ['limit_conn', 'see limits.connections_per_client and max_requests'],
  ['limit_req_status', 'Fairlead answers 429'],
  ['mirror', 'see mirror of a route'],
  ['split_clients', 'see split of a route'],
  ['stream', 'Fairlead proxies HTTP'],
  ['mail', 'Fairlead proxies HTTP'],
  ['fastcgi_pass', 'Fairlead speaks HTTP to backends'],
  ['uwsgi_pass', 'Fairlead speaks HTTP to backends'],
  ['scgi_pass', 'Fairlead speaks HTTP to backends'],
  ['set', 'variables are not carried over'],
  ['geo', 'see allow and deny of a route'],
]);
