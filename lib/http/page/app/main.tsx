/** The page in the browser. */
import './app.css';

if (location.pathname === '/') location.replace('/files/');
